package demo

import (
	"math/rand/v2"
)

// Chances of the grammar.
const (
	onTopic      = 0.85 // a content word comes from the topic
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
	if good {
		return pick(s.rng, words.good), true
	}
	return pick(s.rng, words.bad), false
}

// nounPhrase is determiner, perhaps an adjective, noun.
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

// subject is a noun phrase and what stands between it and its verb.
func (s *speaker) subject() ([]string, agreement) {
	out, a := s.nounPhrase()
	for range 2 {
		if !s.chance(withPhrase) {
			break
		}
		inner, _ := s.nounPhrase()
		out = append(append(out, pick(s.rng, prepositions)), inner...)
	}
	return out, a
}

// predicate is copula, perhaps negator and booster, adjective.
func (s *speaker) predicate(a agreement) []string {
	out := []string{copulas[a]}
	w, good := s.adjective()
	if s.chance(negated) {
		// What is said stays in the mood: a bad thing is "not good".
		out = append(out, negator)
		if good {
			w = pick(s.rng, words.bad)
		} else {
			w = pick(s.rng, words.good)
		}
	}
	if s.chance(boosted) {
		out = append(out, pick(s.rng, boosters))
	}
	return append(out, w)
}

// clause is a subject with a verb and an object, or with a predicate. verb is the place of the word that agrees with the subject.
func (s *speaker) clause() (out []string, verb int, a agreement) {
	out, a = s.subject()
	verb = len(out)
	if s.chance(asPredicate) {
		return append(out, s.predicate(a)...), verb, a
	}
	out = append(out, pick(s.rng, words.verbs[s.contentTopic()]).stem+verbEndings[a])
	object, _ := s.nounPhrase()
	out = append(out, object...)
	if s.chance(withAdverb) {
		out = append(out, pick(s.rng, words.adverbs))
	}
	return out, verb, a
}
