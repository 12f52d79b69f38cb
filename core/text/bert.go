package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer cleans and folds text as BERT does (Devlin et al. 2019), in the order of the fields.
type bertNormalizer struct {
	CleanText    bool // control characters out, white space to blanks
	ChineseChars bool // blanks around CJK ideographs
	StripAccents bool // canonical decomposition without nonspacing marks
	Lowercase    bool
}

func (n bertNormalizer) normalize(s string) string {
	if n.CleanText {
		s = strings.Map(cleaned, s)
	}
	if n.ChineseChars {
		s = spacedIdeographs(s)
	}
	if n.StripAccents {
		s = withoutMarks(norm.NFD.String(s))
	}
	if n.Lowercase {
		s = lower(s)
	}
	return s
}

// cleaned is what clean-up makes of a character: a blank, itself, or nothing.
func cleaned(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' '
	case r == 0 || r == utf8.RuneError || control(r):
		return -1
	case unicode.Is(unicode.White_Space, r):
		return ' '
	}
	return r
}

// withoutMarks drops nonspacing marks; accents are such marks once a text is decomposed.
func withoutMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if mark(r) {
			return -1
		}
		return r
	}, s)
}

// lower maps every character by itself. The one whose lower case is two characters is the dotted capital I.
func lower(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "İ", "i̇"))
}

func spacedIdeographs(s string) string {
	if strings.IndexFunc(s, ideograph) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if ideograph(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// bertWords splits at white space and makes every punctuation character a word.
func bertWords(s string, yield func(string)) {
	start := -1
	flush := func(end int) {
		if start >= 0 {
			yield(s[start:end])
			start = -1
		}
	}
	for i, r := range s {
		switch {
		case unicode.Is(unicode.White_Space, r):
			flush(i)
		case punctuation(r):
			flush(i)
			yield(s[i : i+utf8.RuneLen(r)])
		case start < 0:
			start = i
		}
	}
	flush(len(s))
}
