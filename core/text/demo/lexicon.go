// Package demo is a small artificial language, made by code from a seed, with pre-training text and four tasks in the manner of GLUE. It lets the
// whole of flexi run where nothing but Go is installed.
//
// The language is built so that every operation of the design space has something to find:
//   - a verb agrees in gender and number with its subject, across phrases with nouns of their own (attention);
//   - determiner, adjective and noun stand in a strict order, and determiners agree with their noun (local convolution);
//   - the words of a document come from its topic, in any order (mixing);
//   - adjectives are good or bad, and a negator turns the one behind it (composition).
package demo

import (
	"slices"
	"strings"

	"flexi/core/text"
)

// Sizes of the lexicon.
const (
	topics         = 4
	nounsPerTopic  = 16
	verbsPerTopic  = 8
	adjectives     = 20 // of each polarity
	adverbs        = 8
	genders        = 2
	numbers        = 2
	agreementForms = genders * numbers
)

// agreement is a gender and a number.
type agreement uint8

// noun has a gender by its stem; its form shows gender and number.
type noun struct {
	stem   string
	gender int
}

// lexicon is all words of the language.
type lexicon struct {
	nouns    [topics][]noun
	verbs    [topics][]string // stems
	good     []string
	bad      []string
	adverbs  []string
	names    [topics]string // of the topics
	allWords []string
}

// Endings by agreement: masculine-like and feminine-like, singular and plural.
var (
	nounEndings  = [agreementForms]string{"o", "os", "a", "as"}
	verbEndings  = [agreementForms]string{"et", "ent", "it", "int"}
	determiners  = [2][agreementForms]string{{"lo", "los", "la", "las"}, {"uno", "unos", "una", "unas"}}
	copulas      = [agreementForms]string{"zo", "zon", "za", "zan"}
	prepositions = []string{"ki", "pra", "sub", "tran"}
	boosters     = []string{"vel", "mult"}
)

const (
	negator  = "nek"
	about    = "pri"
	joiner   = "ke"
	fullStop = "."
)

var (
	onsets = []string{"b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "dr", "gl", "kr", "pl", "sk", "tr"}
	vowels = []string{"a", "e", "i", "o", "u"}
	codas  = []string{"", "n", "r", "l", "m"}
)

// words is the lexicon; it is the same for every seed, so models and vocabularies of different runs fit together.
var words = newLexicon()

// newLexicon spells stems by counting through the syllables in steps that share no factor with their number, so that neighbours look different.
func newLexicon() *lexicon {
	next := 0
	used := map[string]bool{}
	stem := func() string {
		for {
			next += 7919
			first := onsets[next%len(onsets)] + vowels[next/len(onsets)%len(vowels)] + codas[next/100%len(codas)]
			s := first + onsets[next/500%len(onsets)]
			if len(s) > 3 && !used[s] {
				used[s] = true
				return s
			}
		}
	}
	l := &lexicon{}
	for t := range topics {
		for i := range nounsPerTopic {
			l.nouns[t] = append(l.nouns[t], noun{stem(), i % genders})
		}
		for range verbsPerTopic {
			l.verbs[t] = append(l.verbs[t], stem())
		}
	}
	for range adjectives {
		l.good = append(l.good, stem()+"i")
		l.bad = append(l.bad, stem()+"i")
	}
	for range adverbs {
		l.adverbs = append(l.adverbs, stem()+"u")
	}
	for t := range topics {
		l.names[t] = stem() + "e"
	}
	l.allWords = l.list()
	return l
}

// form is the noun in a number.
func (n noun) form(a agreement) string { return n.stem + nounEndings[a] }

// agrees is the agreement of a noun in a number (0 singular, 1 plural).
func (n noun) agrees(number int) agreement { return agreement(n.gender*numbers + number) }

// polar are the adjectives of one polarity.
func (l *lexicon) polar(good bool) []string {
	if good {
		return l.good
	}
	return l.bad
}

// list is every word form, sorted.
func (l *lexicon) list() []string {
	out := []string{negator, about, joiner, fullStop}
	out = slices.Concat(out, l.names[:], prepositions, boosters, l.good, l.bad, l.adverbs, determiners[0][:], determiners[1][:], copulas[:])
	for t := range topics {
		for _, n := range l.nouns[t] {
			for number := range numbers {
				out = append(out, n.form(n.agrees(number)))
			}
		}
		for _, v := range l.verbs[t] {
			for _, e := range verbEndings {
				out = append(out, v+e)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Tokenizer is a WordPiece tokenizer that holds every word of the language, and letters for other text.
func Tokenizer() text.Tokenizer {
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	tokens = append(tokens, words.allWords...)
	for c := 'a'; c <= 'z'; c++ {
		if !slices.Contains(words.allWords, string(c)) {
			tokens = append(tokens, string(c))
		}
		tokens = append(tokens, "##"+string(c))
	}
	tok, err := text.NewWordPiece("demo", tokens)
	if err != nil {
		panic("demo: the vocabulary is wrong: " + err.Error())
	}
	return tok
}

// sentence joins words and ends them.
func sentence(w []string) string { return strings.Join(w, " ") + " " + fullStop }
