package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// contractions of English that are words of their own.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// gptWords splits by GPT-2's pattern: contractions; letters, digits or other characters, each with at most one blank before; white space, which
// leaves its last character to a word that follows.
func gptWords(s string, yield func(string)) {
	for s != "" {
		n := gptWord(s)
		yield(s[:n])
		s = s[n:]
	}
}

// spacedGPTWords is gptWords of a text that is given a blank to begin with.
func spacedGPTWords(s string, yield func(string)) {
	if !strings.HasPrefix(s, " ") {
		s = " " + s
	}
	gptWords(s, yield)
}

// gptWord is the length of the first word of s, which is not empty.
func gptWord(s string) int {
	for _, c := range contractions {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	blank := 0
	if s[0] == ' ' {
		blank = 1
	}
	if class := classOf(s[blank:]); class != whiteSpace && class != nothing {
		return blank + span(s[blank:], class)
	}
	n := span(s, whiteSpace)
	if n == len(s) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(s[:n]); n > last {
		return n - last
	}
	return n
}

// class is one of the kinds of characters that the pattern tells apart.
type class uint8

const (
	nothing class = iota
	letter
	digit
	whiteSpace
	symbolic
)

func classOf(s string) class {
	if s == "" {
		return nothing
	}
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case unicode.Is(unicode.L, r):
		return letter
	case unicode.Is(unicode.N, r):
		return digit
	case unicode.Is(unicode.White_Space, r):
		return whiteSpace
	}
	return symbolic
}

// span is the length of the longest prefix of one class.
func span(s string, c class) int {
	for i := 0; i < len(s); {
		if classOf(s[i:]) != c {
			return i
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	return len(s)
}
