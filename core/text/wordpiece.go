package text

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// bertNormalizer cleans and folds text as BERT does, in this order.
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
		s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFD.String(s))
	}
	if n.Lowercase {
		s = lower(s)
	}
	return s
}

// cleaned is what clean-up makes of a character: a blank, itself, or nothing.
func cleaned(r rune) rune {
	switch {
	case r == 0 || r == utf8.RuneError:
		return -1
	case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.White_Space, r):
		return ' '
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return -1
	}
	return r
}

// lower is the full lower-case mapping: the one character whose mapping is two is the dotted capital I.
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

// ideograph reports the CJK blocks that BERT separates.
func ideograph(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF || r >= 0x3400 && r <= 0x4DBF || r >= 0x20000 && r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
		r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0xF900 && r <= 0xFAFF || r >= 0x2F800 && r <= 0x2FA1F
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

// punctuation is Unicode punctuation, and every ASCII character that is neither letter, digit nor blank.
func punctuation(r rune) bool {
	return r >= 33 && r <= 47 || r >= 58 && r <= 64 || r >= 91 && r <= 96 || r >= 123 && r <= 126 || unicode.IsPunct(r)
}

// continuation marks a piece inside a word.
const continuation = "##"

// WordPiece is BERT's tokenizer (Devlin et al. 2019): words are cut into the longest pieces of the vocabulary, from the left.
type WordPiece struct {
	vocabulary
	normalizer bertNormalizer
	prefix     string
	longest    int // words of more characters are unknown
	unknown    int32

	cache sync.Map // word → []int32
}

// maxWord is BERT's limit of characters in a word.
const maxWord = 100

// NewWordPiece makes an uncased BERT tokenizer from a vocabulary in order of id; it must hold [PAD], [UNK], [CLS], [SEP] and [MASK].
func NewWordPiece(name string, tokens []string) (*WordPiece, error) {
	n := bertNormalizer{CleanText: true, ChineseChars: true, StripAccents: true, Lowercase: true}
	return newWordPiece(name, tokens, n, continuation, maxWord, bertSpecials)
}

func newWordPiece(name string, tokens []string, n bertNormalizer, prefix string, longest int, specials specialNames) (*WordPiece, error) {
	v, err := newVocabulary("wordpiece", name, tokens, specials)
	if err != nil {
		return nil, err
	}
	v.addedTokens(specials.list()...)
	return &WordPiece{vocabulary: v, normalizer: n, prefix: prefix, longest: longest, unknown: v.special.Unknown}, nil
}

// Encode gives the ids of s without special tokens around it; a special token written out in s is that token.
func (w *WordPiece) Encode(s string) []int32 {
	var ids []int32
	w.splitAdded(s, func(part string, id int32) {
		if id >= 0 {
			ids = append(ids, id)
			return
		}
		bertWords(w.normalizer.normalize(part), func(word string) { ids = append(ids, w.word(word)...) })
	})
	return ids
}

// word cuts one word greedily; a word that cannot be cut is unknown as a whole.
func (w *WordPiece) word(word string) []int32 {
	if ids, ok := w.cache.Load(word); ok {
		return ids.([]int32)
	}
	ids := w.cut(word)
	w.cache.Store(strings.Clone(word), ids)
	return ids
}

func (w *WordPiece) cut(word string) []int32 {
	if utf8.RuneCountInString(word) > w.longest {
		return []int32{w.unknown}
	}
	var ids []int32
	for start := 0; start < len(word); {
		end := len(word)
		id, ok := int32(0), false
		for ; end > start; end-- {
			piece := word[start:end]
			if start > 0 {
				piece = w.prefix + piece
			}
			if id, ok = w.ids[piece]; ok {
				break
			}
		}
		if !ok {
			return []int32{w.unknown}
		}
		ids = append(ids, id)
		start = end
	}
	return ids
}

// Decode joins pieces to words.
func (w *WordPiece) Decode(ids []int32) string {
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

var _ = []Tokenizer{(*WordPiece)(nil), (*ByteBPE)(nil)}

// specialNames are the texts of the special tokens.
type specialNames struct{ pad, unknown, cls, sep, mask string }

func (s specialNames) list() []string { return []string{s.pad, s.unknown, s.cls, s.sep, s.mask} }

var (
	bertSpecials    = specialNames{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	robertaSpecials = specialNames{"<pad>", "<unk>", "<s>", "</s>", "<mask>"}
)

// find resolves the special tokens, or names the first that the vocabulary lacks.
func (s specialNames) find(ids map[string]int32) (Special, error) {
	var out Special
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
