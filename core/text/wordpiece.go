package text

import (
	"strings"
	"unicode/utf8"
)

// continuation marks a piece inside a word.
const continuation = "##"

// maxWord is BERT's limit of characters in a word.
const maxWord = 100

// wordPiece cuts words into the longest pieces of a vocabulary, from the left (Wu et al. 2016, Devlin et al. 2019).
type wordPiece struct {
	*vocabulary
	prefix  string // of pieces inside a word
	longest int    // words of more characters are unknown
}

// NewWordPiece makes an uncased BERT tokenizer from a vocabulary in order of id; it must hold [PAD], [UNK], [CLS], [SEP] and [MASK]. Name is for errors.
func NewWordPiece(name string, tokens []string) (Tokenizer, error) {
	v, err := newVocabulary(name, tokens, bertSpecials)
	if err != nil {
		return nil, err
	}
	n := bertNormalizer{CleanText: true, ChineseChars: true, StripAccents: true, Lowercase: true}
	return newPipeline("wordpiece", v, steps{
		added:     specialTokens(v),
		normalize: n.normalize,
		split:     bertWords,
		model:     &wordPiece{v, continuation, maxWord},
		settings:  n,
	}), nil
}

// pieces cuts one word greedily; a word that cannot be cut is unknown as a whole.
func (w *wordPiece) pieces(word string) []int32 {
	unknown := []int32{w.special.Unknown}
	if utf8.RuneCountInString(word) > w.longest {
		return unknown
	}
	var ids []int32
	for start := 0; start < len(word); {
		end, id := w.longestPiece(word, start)
		if end == start {
			return unknown
		}
		ids = append(ids, id)
		start = end
	}
	return ids
}

// longestPiece is the end and the id of the longest piece that begins at start; the end is start if there is none.
func (w *wordPiece) longestPiece(word string, start int) (int, int32) {
	for end := len(word); end > start; end-- {
		piece := word[start:end]
		if start > 0 {
			piece = w.prefix + piece
		}
		if id, ok := w.ids[piece]; ok {
			return end, id
		}
	}
	return start, 0
}

// decode joins pieces to words.
func (w *wordPiece) decode(ids []int32) string {
	var b strings.Builder
	for i, id := range ids {
		t := w.Token(id)
		if rest, ok := strings.CutPrefix(t, w.prefix); ok && i > 0 {
			b.WriteString(rest)
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t)
	}
	return b.String()
}
