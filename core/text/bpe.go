package text

import (
	"strings"
	"unicode/utf8"
)

// byteBPE is the byte-level byte-pair encoding of GPT-2 and RoBERTa (Sennrich et al. 2016, Radford et al. 2019): bytes become printable characters, and pairs
// of neighbours are merged in the order they were learned.
type byteBPE struct {
	*vocabulary
	ranks       map[[2]string]int
	dropUnknown bool // bytes that the vocabulary lacks are left out, instead of becoming the unknown token
	whole       bool // a word that is a token is not cut up
}

// byteRunes maps bytes to printable characters, runeBytes back: bytes that print stay, the others follow 255.
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

// NewByteBPE makes a tokenizer of GPT-2's or RoBERTa's kind from tokens in order of id and merges in order of rank, each "left right". The vocabulary must hold
// RoBERTa's special tokens or <|endoftext|>. Name is for errors.
func NewByteBPE(name string, tokens, merges []string) (Tokenizer, error) {
	v, err := newVocabulary(name, tokens, robertaSpecials, gptSpecials)
	if err != nil {
		return nil, err
	}
	model, err := newByteBPE(name, v, merges)
	if err != nil {
		return nil, err
	}
	return newPipeline("bpe", v, steps{added: specialTokens(v), normalize: asIs, split: gptWords, model: model, settings: merges}), nil
}

func newByteBPE(name string, v *vocabulary, merges []string) (*byteBPE, error) {
	ranks, err := v.mergeRanks(name, merges)
	if err != nil {
		return nil, err
	}
	return &byteBPE{vocabulary: v, ranks: ranks, dropUnknown: true}, nil
}

// pieces merges the symbols of one word.
func (b *byteBPE) pieces(word string) []int32 {
	symbols := make([]string, 0, len(word))
	for i := range len(word) {
		s := string(byteRunes[word[i]])
		if _, ok := b.ids[s]; ok || !b.dropUnknown {
			symbols = append(symbols, s)
		}
	}
	if b.whole {
		if id, ok := b.ids[strings.Join(symbols, "")]; ok {
			return []int32{id}
		}
	}
	symbols = mergePairs(symbols, b.ranks)
	ids := make([]int32, len(symbols))
	for i, s := range symbols {
		id, ok := b.ids[s]
		if !ok {
			id = b.special.Unknown
		}
		ids[i] = id
	}
	return ids
}

// decode gives back the bytes; what no byte stands for, such as an added token, is given as it is.
func (b *byteBPE) decode(ids []int32) string {
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
