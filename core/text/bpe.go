package text

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// ByteBPE is the byte-level byte-pair encoding of GPT-2 and RoBERTa (Radford et al. 2019): text is split by a fixed pattern, bytes become printable
// characters, and pairs are merged in the order they were learned.
type ByteBPE struct {
	vocabulary
	ranks       map[[2]string]int
	prefixSpace bool // a blank is put before the text

	cache sync.Map // word → []int32
}

// byteRunes maps bytes to printable characters: those that print stay, the others follow 255.
var byteRunes, runeBytes = func() (to [256]rune, from map[rune]byte) {
	from = make(map[rune]byte, 256)
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()

// NewByteBPE makes a tokenizer from tokens in order of id and merges in order of rank, each "left right".
func NewByteBPE(name string, tokens, merges []string) (*ByteBPE, error) {
	specials := robertaSpecials
	if !contains(tokens, specials.mask) {
		// GPT-2 has one special token, which serves as all of them.
		const end = "<|endoftext|>"
		specials = specialNames{end, end, end, end, end}
	}
	return newByteBPE(name, tokens, merges, false, specials)
}

func contains(tokens []string, t string) bool {
	for _, x := range tokens {
		if x == t {
			return true
		}
	}
	return false
}

func newByteBPE(name string, tokens, merges []string, prefixSpace bool, specials specialNames) (*ByteBPE, error) {
	v, err := newVocabulary("bpe", name, tokens, specials)
	if err != nil {
		return nil, err
	}
	v.addedTokens(specials.list()...)
	b := &ByteBPE{vocabulary: v, ranks: make(map[[2]string]int, len(merges)), prefixSpace: prefixSpace}
	for i, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("tokenizer %s: merge %d is %q, expected two tokens", name, i+1, m)
		}
		if _, known := v.ids[left+right]; !known {
			return nil, fmt.Errorf("tokenizer %s: merge %d makes %q, which the vocabulary lacks", name, i+1, left+right)
		}
		b.ranks[[2]string{left, right}] = i
	}
	return b, nil
}

// Encode gives the ids of s without special tokens around it; a special token written out in s is that token.
func (b *ByteBPE) Encode(s string) []int32 {
	var ids []int32
	b.splitAdded(s, func(part string, id int32) {
		if id >= 0 {
			ids = append(ids, id)
			return
		}
		if b.prefixSpace && !strings.HasPrefix(part, " ") {
			part = " " + part
		}
		gptWords(part, func(word string) { ids = append(ids, b.word(word)...) })
	})
	return ids
}

func (b *ByteBPE) word(word string) []int32 {
	if ids, ok := b.cache.Load(word); ok {
		return ids.([]int32)
	}
	ids := b.merge(word)
	b.cache.Store(strings.Clone(word), ids)
	return ids
}

// merge joins the pair of lowest rank until none is left; of equal pairs the leftmost goes first.
func (b *ByteBPE) merge(word string) []int32 {
	parts := make([]string, len(word))
	for i := range len(word) {
		parts[i] = string(byteRunes[word[i]])
	}
	for len(parts) > 1 {
		at, best := -1, len(b.ranks)
		for i := range len(parts) - 1 {
			if r, ok := b.ranks[[2]string{parts[i], parts[i+1]}]; ok && r < best {
				at, best = i, r
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = append(parts[:at+1], parts[at+2:]...)
	}
	ids := make([]int32, 0, len(parts))
	for _, p := range parts {
		id, ok := b.ids[p]
		if !ok {
			id = b.special.Unknown
		}
		ids = append(ids, id)
	}
	return ids
}

// Decode gives back the bytes.
func (b *ByteBPE) Decode(ids []int32) string {
	var out []byte
	for _, id := range ids {
		for _, r := range b.Token(id) {
			if c, ok := runeBytes[r]; ok {
				out = append(out, c)
			} else {
				out = utf8.AppendRune(out, r)
			}
		}
	}
	return string(out)
}

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
	_, last := utf8.DecodeLastRuneInString(s[:n])
	if n > last {
		return n - last
	}
	return n
}

type class uint8

const (
	nothing class = iota
	letter
	digit
	whiteSpace
	symbol
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
	return symbol
}

// span is the length of the prefix of one class.
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
