package text

import (
	"fmt"
)

// vocabulary is tokens by id and ids by token.
type vocabulary struct {
	tokens  []string
	ids     map[string]int32
	names   specialNames
	special Special
}

// newVocabulary indexes tokens; an empty token is a gap in the ids. The special tokens are those of the first family that is there in whole.
func newVocabulary(name string, tokens []string, families ...specialNames) (*vocabulary, error) {
	v := &vocabulary{tokens: tokens, ids: make(map[string]int32, len(tokens))}
	for i, t := range tokens {
		if t == "" {
			continue
		}
		if at, dup := v.ids[t]; dup {
			return nil, fmt.Errorf("tokenizer %s: token %q has the ids %d and %d", name, t, at, i)
		}
		v.ids[t] = int32(i)
	}
	var first error
	for _, f := range families {
		s, err := f.find(v.ids)
		if err == nil {
			v.names, v.special = f, s
			return v, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, fmt.Errorf("tokenizer %s: %w", name, first)
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

// byID lists tokens in the order of their ids; ids that no token has are gaps.
func byID(file string, ids map[string]int32) ([]string, error) {
	const limit = 1 << 24
	var top int32 = -1
	for t, id := range ids {
		if id < 0 || id >= limit {
			return nil, fmt.Errorf("tokenizer %s: token %q has the id %d", file, t, id)
		}
		top = max(top, id)
	}
	tokens := make([]string, top+1)
	for t, id := range ids {
		if old := tokens[id]; old != "" {
			return nil, fmt.Errorf("tokenizer %s: tokens %q and %q share the id %d", file, min(t, old), max(t, old), id)
		}
		tokens[id] = t
	}
	return tokens, nil
}

// specialNames are the texts of the special tokens.
type specialNames struct{ pad, unknown, cls, sep, mask string }

// Families of special tokens. GPT-2 has a single one, which serves as all of them.
var (
	bertSpecials    = specialNames{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	robertaSpecials = specialNames{"<pad>", "<unk>", "<s>", "</s>", "<mask>"}
	gptSpecials     = specialNames{"<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"}
)

// noSpecials are those of a decoder's tokenizer, whose model names what it needs.
var noSpecials specialNames

func (s specialNames) list() []string { return []string{s.pad, s.unknown, s.cls, s.sep, s.mask} }

// find resolves the special tokens, or names the first that the vocabulary lacks.
func (s specialNames) find(ids map[string]int32) (Special, error) {
	out := Special{-1, -1, -1, -1, -1}
	if s == noSpecials {
		return out, nil
	}
	for _, f := range []struct {
		name string
		id   *int32
	}{{s.pad, &out.Pad}, {s.unknown, &out.Unknown}, {s.cls, &out.CLS}, {s.sep, &out.SEP}, {s.mask, &out.Mask}} {
		id, ok := ids[f.name]
		if !ok {
			return out, fmt.Errorf("the vocabulary lacks the special token %s", f.name)
		}
		*f.id = id
	}
	return out, nil
}

// list is the ids, which may repeat.
func (s Special) list() []int32 { return []int32{s.Pad, s.Unknown, s.CLS, s.SEP, s.Mask} }
