package text

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// vocabulary is what all tokenizers share: tokens by id, ids by token, and the added tokens that are found in text before anything else.
type vocabulary struct {
	name    string
	tokens  []string
	ids     map[string]int32
	special Special
	added   []string // longest first
}

// newVocabulary indexes tokens; an empty token is a gap in the ids.
func newVocabulary(kind, name string, tokens []string, specials specialNames) (vocabulary, error) {
	v := vocabulary{tokens: tokens, ids: make(map[string]int32, len(tokens))}
	sum := sha256.New()
	for i, t := range tokens {
		fmt.Fprintf(sum, "%s\n", t)
		if t == "" {
			continue
		}
		if at, dup := v.ids[t]; dup {
			return v, fmt.Errorf("tokenizer %s: token %q has the ids %d and %d", name, t, at, i)
		}
		v.ids[t] = int32(i)
	}
	v.name = kind + "-" + hex.EncodeToString(sum.Sum(nil))[:8]
	var err error
	if v.special, err = specials.find(v.ids); err != nil {
		return v, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	return v, nil
}

// addedTokens registers tokens that are recognised wherever they stand in a text.
func (v *vocabulary) addedTokens(tokens ...string) {
	for _, t := range tokens {
		if _, ok := v.ids[t]; ok && !slices.Contains(v.added, t) {
			v.added = append(v.added, t)
		}
	}
	slices.SortStableFunc(v.added, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// splitAdded calls f for the stretches of s between added tokens with id -1, and for the added tokens with their id.
func (v *vocabulary) splitAdded(s string, f func(part string, id int32)) {
	for s != "" {
		at, found := -1, ""
		for _, t := range v.added {
			if i := strings.Index(s, t); i >= 0 && (at < 0 || i < at) {
				at, found = i, t
			}
		}
		if at < 0 {
			f(s, -1)
			return
		}
		if at > 0 {
			f(s[:at], -1)
		}
		f(found, v.ids[found])
		s = s[at+len(found):]
	}
}

// Token is the text of an id, "" for an id that does not exist.
func (v *vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return ""
	}
	return v.tokens[id]
}

// Size is the number of ids.
func (v *vocabulary) Size() int { return len(v.tokens) }

// Special are the ids of the special tokens.
func (v *vocabulary) Special() Special { return v.special }

// Name is the kind and a hash of the vocabulary.
func (v *vocabulary) Name() string { return v.name }
