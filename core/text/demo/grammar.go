package demo

import (
	"math/rand/v2"
)

// Chances of the grammar.
const (
	onTopic      = 0.9  // a content word comes from the topic
	topicNamed   = 0.25 // a sentence of a document names the topic
	withPhrase   = 0.6  // a prepositional phrase stands between subject and verb; again for a second one
	withEpithet  = 0.45 // an adjective before a noun
	withAdverb   = 0.3
	asPredicate  = 0.35 // a sentence says what its subject is like
	negated      = 0.3  // a predicate is negated
	boosted      = 0.3
	moodStrength = 0.85 // an adjective has the polarity of the mood
)

// speaker makes sentences about a topic in a mood.
type speaker struct {
	rng   *rand.Rand
	topic int
	good  bool
}

func newSpeaker(rng *rand.Rand) *speaker {
	return &speaker{rng: rng, topic: rng.IntN(topics), good: rng.IntN(2) == 0}
}

func (s *speaker) chance(p float64) bool { return s.rng.Float64() < p }

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (s *speaker) contentTopic() int {
	if s.chance(onTopic) {
		return s.topic
	}
	return s.rng.IntN(topics)
}

// adjective has the mood's polarity most of the time; good says which it got.
func (s *speaker) adjective() (word string, good bool) {
	good = s.good == s.chance(moodStrength)
	return pick(s.rng, words.polar(good)), good
}

// clause is a sentence with what its words must agree on.
type clause struct {
	words   []string
	phrases []phrase
	verb    int // place of the word that agrees with the first phrase
}

// phrase is the place of a noun phrase: determiner, perhaps an adjective, noun.
type phrase struct {
	start, end int
	agreement  agreement
}

// nounPhrase is a determiner, perhaps an adjective, and a noun.
func (s *speaker) nounPhrase() ([]string, agreement) {
	n := pick(s.rng, words.nouns[s.contentTopic()])
	a := n.agrees(s.rng.IntN(numbers))
	out := []string{determiners[s.rng.IntN(len(determiners))][a]}
	if s.chance(withEpithet) {
		w, _ := s.adjective()
		out = append(out, w)
	}
	return append(out, n.form(a)), a
}

// addPhrase puts a noun phrase at the end of the clause.
func (s *speaker) addPhrase(c *clause) {
	w, a := s.nounPhrase()
	start := len(c.words)
	c.words = append(c.words, w...)
	c.phrases = append(c.phrases, phrase{start, len(c.words), a})
}

// clause is a subject with a verb and an object, or with a predicate. Up to two phrases with nouns of their own stand between the subject and the word that agrees with it.
func (s *speaker) clause() clause {
	var c clause
	s.addPhrase(&c)
	for range 2 {
		if !s.chance(withPhrase) {
			break
		}
		c.words = append(c.words, pick(s.rng, prepositions))
		s.addPhrase(&c)
	}
	c.verb = len(c.words)
	a := c.phrases[0].agreement
	if s.chance(asPredicate) {
		c.words = append(c.words, s.predicate(a)...)
		return c
	}
	c.words = append(c.words, pick(s.rng, words.verbs[s.contentTopic()])+verbEndings[a])
	s.addPhrase(&c)
	if s.chance(withAdverb) {
		c.words = append(c.words, pick(s.rng, words.adverbs))
	}
	return c
}

// naming is the words of a clause, at times with the name of the topic behind them.
func (s *speaker) naming(c clause) []string {
	if s.chance(topicNamed) {
		return append(c.words, about, words.names[s.topic])
	}
	return c.words
}

// predicate is copula, perhaps negator and booster, adjective.
func (s *speaker) predicate(a agreement) []string {
	out := []string{copulas[a]}
	w, good := s.adjective()
	if s.chance(negated) {
		// What is said stays in the mood: a bad thing is "not good".
		out = append(out, negator)
		w = pick(s.rng, words.polar(!good))
	}
	if s.chance(boosted) {
		out = append(out, pick(s.rng, boosters))
	}
	return append(out, w)
}
