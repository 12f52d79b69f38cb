package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// charBPE is byte-pair encoding over characters, as converted SentencePiece models have it (Llama 2, Mistral): blanks are "▁", and a character that the
// vocabulary lacks becomes one token per byte, <0xE2>, or the unknown token.
type charBPE struct {
	*vocabulary
	ranks        map[[2]string]int
	unknown      string // "" for none: such characters are left out
	byteFallback bool
	fuseUnknown  bool // neighbouring unknown characters are one
	whole        bool // a word that is a token is not cut up
}

// pieces merges the symbols of a word.
func (c *charBPE) pieces(word string) []int32 {
	if id, ok := c.ids[word]; ok && c.whole {
		return []int32{id}
	}
	var symbols []string
	pending := false // an unknown token, which the tokenizers package puts behind byte tokens that follow it
	flush := func() {
		if pending {
			symbols, pending = append(symbols, c.unknown), false
		}
	}
	for i, r := range word {
		_, width := utf8.DecodeRuneInString(word[i:])
		one := word[i : i+width]
		if r == utf8.RuneError && width == 1 {
			one = string(utf8.RuneError) // as a decoder of UTF-8 passes it on
		}
		if _, ok := c.ids[one]; ok {
			flush()
			symbols = append(symbols, one)
			continue
		}
		if bytes, ok := c.bytesOf(one); ok {
			symbols = append(symbols, bytes...)
			continue
		}
		if !c.fuseUnknown {
			flush()
		}
		pending = c.unknown != ""
	}
	flush()
	symbols = mergePairs(symbols, c.ranks)
	ids := make([]int32, len(symbols))
	for i, s := range symbols {
		ids[i] = c.ids[s]
	}
	return ids
}

// bytesOf are the byte tokens of a character, if the vocabulary has all of them.
func (c *charBPE) bytesOf(char string) ([]string, bool) {
	if !c.byteFallback {
		return nil, false
	}
	out := make([]string, len(char))
	for i := range len(char) {
		out[i] = fmt.Sprintf("<0x%02X>", char[i])
		if _, ok := c.ids[out[i]]; !ok {
			return nil, false
		}
	}
	return out, true
}

// metaspace stands for a blank.
const metaspace = "▁"

// decode gives back text; the blank that begins it is the tokenizer's.
func (c *charBPE) decode(ids []int32) string {
	var out []byte
	for _, id := range ids {
		token := c.Token(id)
		if b, ok := byteToken(token); ok && c.byteFallback {
			out = append(out, b)
			continue
		}
		out = append(out, strings.ReplaceAll(token, metaspace, " ")...)
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(out), "\uFFFD"), " ")
}

// byteToken is the byte of a token such as <0xE2>.
func byteToken(token string) (byte, bool) {
	if len(token) != 6 || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(b), err == nil
}

// mergeRanks is the order of merges, each "left right", all of whose tokens the vocabulary must have.
func (v *vocabulary) mergeRanks(name string, merges []string) (map[[2]string]int, error) {
	ranks := make(map[[2]string]int, len(merges))
	for i, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("tokenizer %s: merge %d is %q, expected two tokens", name, i+1, m)
		}
		for _, t := range []string{left, right, left + right} {
			if _, known := v.ids[t]; !known {
				return nil, fmt.Errorf("tokenizer %s: merge %d (%q) needs the token %q, which the vocabulary lacks", name, i+1, m, t)
			}
		}
		ranks[[2]string{left, right}] = i
	}
	return ranks, nil
}
