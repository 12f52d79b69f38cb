package text

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is recognised as a whole wherever it stands in a text.
type addedToken struct {
	text       string
	id         int32
	normalized bool // it is looked for in the normalised text
	singleWord bool // not inside a word
	lstrip     bool // white space before it belongs to it
	rstrip     bool // and behind it
}

// specialTokens are the special tokens as added tokens.
func specialTokens(v *vocabulary) []addedToken {
	var out []addedToken
	for _, t := range v.names.list() {
		if id := v.ids[t]; !slices.ContainsFunc(out, func(a addedToken) bool { return a.id == id }) {
			out = append(out, addedToken{text: t, id: id})
		}
	}
	return out
}

// matcher finds added tokens, the leftmost first and of those the longest.
type matcher struct {
	byFirst [256][]addedToken // by first byte, longest first
	empty   bool
}

func newMatcher(tokens []addedToken) matcher {
	m := matcher{empty: true}
	for _, t := range tokens {
		if t.text != "" {
			m.byFirst[t.text[0]] = append(m.byFirst[t.text[0]], t)
			m.empty = false
		}
	}
	for _, list := range m.byFirst {
		slices.SortStableFunc(list, func(a, b addedToken) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
	return m
}

// scan calls token and between for the added tokens of s and the stretches between them, from left to right.
func (m *matcher) scan(s string, token func(id int32), between func(string)) {
	done := 0 // what is before it has been handed out
	for at := 0; at < len(s) && !m.empty; {
		t, ok := m.match(s, at)
		if !ok {
			at++
			continue
		}
		if t.singleWord && (wordBefore(s[:at]) || wordAfter(s[at+len(t.text):])) {
			at += len(t.text)
			continue
		}
		start, end := t.extent(s, at, done)
		if start > done {
			between(s[done:start])
		}
		token(t.id)
		done, at = end, end
	}
	if done < len(s) {
		between(s[done:])
	}
}

// match is the longest added token that begins at a place.
func (m *matcher) match(s string, at int) (addedToken, bool) {
	for _, t := range m.byFirst[s[at]] {
		if strings.HasPrefix(s[at:], t.text) {
			return t, true
		}
	}
	return addedToken{}, false
}

// extent is what the token at a place takes of s, of which the first done bytes are taken.
func (t addedToken) extent(s string, at, done int) (start, end int) {
	start, end = at, at+len(t.text)
	if t.lstrip {
		start = max(done, len(strings.TrimRightFunc(s[:at], unicode.IsSpace)))
	}
	if t.rstrip {
		end = len(s) - len(strings.TrimLeftFunc(s[end:], unicode.IsSpace))
	}
	return start, end
}

func wordBefore(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && wordCharacter(r)
}

func wordAfter(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && wordCharacter(r)
}

// wordCharacter is \w of Unicode regular expressions.
func wordCharacter(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
