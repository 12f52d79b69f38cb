package demo

import (
	"math/rand/v2"
	"slices"
	"strings"

	"flexi/core/text"
)

// grammarRow is a sentence, and every other time one with a single mistake.
func grammarRow(rng *rand.Rand, i int) text.Example {
	c := newSpeaker(rng).clause()
	if i%2 == 1 {
		c = pick(rng, violations)(rng, c)
	}
	return text.Example{A: sentence(c.words), Label: 1 - i%2}
}

// violations are the mistakes; each makes every sentence ungrammatical. The one over distance counts twice, as it is the hardest to see.
var violations = []func(*rand.Rand, clause) clause{disagree, disagree, misdetermine, disorder}

// another is an agreement other than a.
func another(rng *rand.Rand, a agreement) agreement {
	return agreement((int(a) + 1 + rng.IntN(agreementForms-1)) % agreementForms)
}

// disagree gives the verb or copula an agreement that its subject does not have.
func disagree(rng *rand.Rand, c clause) clause {
	c.words = slices.Clone(c.words)
	a := c.phrases[0].agreement
	other := another(rng, a)
	if w := &c.words[c.verb]; *w == copulas[a] {
		*w = copulas[other]
	} else {
		*w = strings.TrimSuffix(*w, verbEndings[a]) + verbEndings[other]
	}
	return c
}

// misdetermine gives a noun phrase the determiner of another agreement.
func misdetermine(rng *rand.Rand, c clause) clause {
	c.words = slices.Clone(c.words)
	p := pick(rng, c.phrases)
	series := pick(rng, determiners[:])
	c.words[p.start] = series[another(rng, p.agreement)]
	return c
}

// disorder swaps two neighbours of a noun phrase.
func disorder(rng *rand.Rand, c clause) clause {
	c.words = slices.Clone(c.words)
	p := pick(rng, c.phrases)
	i := p.start + rng.IntN(p.end-p.start-1)
	c.words[i], c.words[i+1] = c.words[i+1], c.words[i]
	return c
}
