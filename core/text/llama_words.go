package text

import (
	"strings"
	"unicode/utf8"
)

// The patterns by which the tokenizers of Llama 3 and Qwen2 split; they differ in how many digits a word has at most.
const (
	llamaPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwenPattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// llamaWords splits by one of them.
func llamaWords(digits int) func(s string, yield func(string)) {
	return func(s string, yield func(string)) {
		for s != "" {
			n := llamaWord(s, digits)
			yield(s[:n])
			s = s[n:]
		}
	}
}

// llamaWord is the length of the first word of s, which is not empty: the first alternative of the pattern that matches.
func llamaWord(s string, digits int) int {
	for _, c := range contractions {
		if len(s) >= len(c) && strings.EqualFold(s[:len(c)], c) {
			return len(c)
		}
	}
	_, first := utf8.DecodeRuneInString(s)
	switch class := classOf(s); {
	case class == letter:
		return span(s, letter)
	case class != digit && s[0] != '\r' && s[0] != '\n' && classOf(s[first:]) == letter:
		return first + span(s[first:], letter)
	case class == digit:
		n := 0
		for i := 0; i < digits && classOf(s[n:]) == digit; i++ {
			_, width := utf8.DecodeRuneInString(s[n:])
			n += width
		}
		return n
	}
	blank := 0
	if s[0] == ' ' {
		blank = 1
	}
	if n := span(s[blank:], symbolic); n > 0 {
		n += blank
		return n + len(s[n:]) - len(strings.TrimLeft(s[n:], "\r\n"))
	}
	n := span(s, whiteSpace)
	if last := strings.LastIndexAny(s[:n], "\r\n"); last >= 0 {
		return last + 1
	}
	if n == len(s) {
		return n
	}
	if _, last := utf8.DecodeLastRuneInString(s[:n]); n > last {
		return n - last
	}
	return n
}
