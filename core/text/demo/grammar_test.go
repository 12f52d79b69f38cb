package demo

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The grammar as a reader knows it: by the shape of words, not by the code that makes them. Forms are masculine singular and plural, feminine singular and plural.
var (
	wordClasses = []struct {
		name  string
		forms []string // of the four agreements, or one
	}{
		{"determiner", []string{"lo|uno", "los|unos", "la|una", "las|unas"}},
		{"copula", []string{"zo", "zon", "za", "zan"}},
		{"preposition", []string{"ki|pra|sub|tran"}},
		{"booster", []string{"vel|mult"}},
		{"negator", []string{"nek"}},
		{"stop", []string{`\.`}},
		{"joiner", []string{"ke"}},
		{"adjective", []string{`\w{4,}i`}},
		{"adverb", []string{`\w{4,}u`}},
		{"verb", []string{`\w{4,}et`, `\w{4,}ent`, `\w{4,}it`, `\w{4,}int`}},
		{"noun", []string{`\w{4,}o`, `\w{4,}os`, `\w{4,}a`, `\w{4,}as`}},
	}
	phraseShape = `D\d(?:A )?N\d`
	clauseShape = regexp.MustCompile(`^(?:` + phraseShape + `P ){0,2}` + phraseShape + `(?:V(\d)` + phraseShape + `(?:R )?|C(\d)(?:X )?(?:B )?A )$`)
	phrases     = regexp.MustCompile(`D(\d)(?:A )?N(\d)`)
	letters     = map[string]string{
		"determiner": "D", "copula": "C", "preposition": "P", "booster": "B", "negator": "X", "stop": "S", "joiner": "K",
		"adjective": "A", "adverb": "R", "verb": "V", "noun": "N",
	}
	compiled = map[string]*regexp.Regexp{}
)

func init() {
	for _, c := range wordClasses {
		for _, f := range c.forms {
			compiled[f] = regexp.MustCompile("^(?:" + f + ")$")
		}
	}
}

// tag is the class of a word and its agreement, such as "N2", or a blank where the class has none.
func tag(word string) string {
	for _, c := range wordClasses {
		for i, f := range c.forms {
			if compiled[f].MatchString(word) {
				if len(c.forms) == 1 {
					return letters[c.name] + " "
				}
				return fmt.Sprint(letters[c.name], i)
			}
		}
	}
	return "? "
}

// tags are those of all words; the last must be a full stop, which is left out.
func tags(sentence string) (string, error) {
	words := strings.Split(sentence, " ")
	if words[len(words)-1] != "." {
		return "", fmt.Errorf("%q does not end with a full stop", sentence)
	}
	var b strings.Builder
	for _, w := range words[:len(words)-1] {
		b.WriteString(tag(w))
	}
	return b.String(), nil
}

// agreeing says whether determiner and noun agree in all phrases.
func agreeing(tagged string) bool {
	return !slices.ContainsFunc(phrases.FindAllStringSubmatch(tagged, -1), func(m []string) bool { return m[1] != m[2] })
}

// grammatical reports sentences of one clause in which everything agrees.
func grammatical(sentence string) bool { return wellFormed(sentence) == nil }

// wellFormed says what is wrong with a sentence of one clause.
func wellFormed(sentence string) error {
	tagged, err := tags(sentence)
	if err != nil {
		return err
	}
	m := clauseShape.FindStringSubmatch(tagged)
	if m == nil {
		return fmt.Errorf("%q is no clause: %s", sentence, tagged)
	}
	if !agreeing(tagged) {
		return fmt.Errorf("a determiner of %q does not agree: %s", sentence, tagged)
	}
	verb := m[1] + m[2] // only one of the two is there
	if subject := tagged[1:2]; subject != verb {
		return fmt.Errorf("the verb of %q does not agree with its subject: %s", sentence, tagged)
	}
	return nil
}
