package demo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"flexi/core/text"
)

// Rows of every task.
const (
	trainRows = 3000
	devRows   = 500
)

// Documents of the pre-training text have this many sentences.
const (
	minSentences = 5
	maxSentences = 12
)

// Streams of random numbers, one for each purpose.
const (
	corpusStream = iota + 1
	grammarStream
	moodStream
	topicStream
	likenessStream
)

// Corpus is n documents, each on one topic and in one mood.
func Corpus(seed uint64, n int) text.Corpus {
	rng := rand.New(rand.NewPCG(seed, corpusStream))
	c := text.Corpus{Name: "demo language"}
	for range n {
		s := newSpeaker(rng)
		var lines []string
		for range minSentences + rng.IntN(maxSentences-minSentences+1) {
			w, _, _ := s.clause()
			lines = append(lines, sentence(append(w, fullStop)))
		}
		c.Documents = append(c.Documents, strings.Join(lines, "\n"))
	}
	return c
}

// Tasks are the four tasks: Grammar (is it well formed?), Mood (is it good or bad?), Topic (are two sentences about the same?) and Likeness (how much of the
// one is in the other, 0 to 5).
func Tasks(seed uint64) []text.Task {
	return []text.Task{
		build(seed, grammarStream, text.Task{Name: "Grammar", Labels: []string{"wrong", "right"}, Metrics: []string{text.Matthews}}, grammarRow),
		build(seed, moodStream, text.Task{Name: "Mood", Labels: []string{"bad", "good"}, Metrics: []string{text.Accuracy}}, moodRow),
		build(seed, topicStream, text.Task{Name: "Topic", Pair: true, Labels: []string{"different", "same"}, Metrics: []string{text.F1, text.Accuracy}}, topicRow),
		build(seed, likenessStream, text.Task{Name: "Likeness", Pair: true, Regression: true, Metrics: []string{text.Pearson, text.Spearman}}, likenessRow),
	}
}

// TaskNames are the tasks by name.
func TaskNames() []string { return []string{"Grammar", "Mood", "Topic", "Likeness"} }

// build draws rows until both splits are full; no text occurs twice.
func build(seed, stream uint64, t text.Task, row func(rng *rand.Rand, i int) text.Example) text.Task {
	rng := rand.New(rand.NewPCG(seed, stream))
	seen := map[string]bool{}
	var rows []text.Example
	for len(rows) < trainRows+devRows {
		e := row(rng, len(rows))
		key := fmt.Sprint(e.A, "\t", e.B)
		if !seen[key] {
			seen[key] = true
			rows = append(rows, e)
		}
	}
	t.Train, t.Dev = rows[:trainRows:trainRows], rows[trainRows:]
	return t
}

// grammarRow is a sentence, and every other time one with a mistake: a verb that does not agree with its subject, or two neighbours of a noun phrase in
// the wrong order.
func grammarRow(rng *rand.Rand, i int) text.Example {
	s := newSpeaker(rng)
	w, verb, a := s.clause()
	if i%2 == 0 {
		return text.Example{A: sentence(append(w, fullStop)), Label: 1}
	}
	if rng.IntN(2) == 0 {
		w = disagree(rng, w, verb, a)
	} else {
		w = disorder(w)
	}
	return text.Example{A: sentence(append(w, fullStop)), Label: 0}
}

// disagree gives the verb or copula another agreement.
func disagree(rng *rand.Rand, w []string, verb int, a agreement) []string {
	other := agreement((int(a) + 1 + rng.IntN(agreementForms-1)) % agreementForms)
	w = slices.Clone(w)
	if w[verb] == copulas[a] {
		w[verb] = copulas[other]
	} else {
		w[verb] = strings.TrimSuffix(w[verb], verbEndings[a]) + verbEndings[other]
	}
	return w
}

// disorder swaps the subject's determiner with the word behind it.
func disorder(w []string) []string {
	w = slices.Clone(w)
	w[0], w[1] = w[1], w[0]
	return w
}

// moodRow joins two or three statements; the label is what most of them say, a negated adjective counting as its opposite.
func moodRow(rng *rand.Rand, i int) text.Example {
	good := i%2 == 0
	const statements = 3
	against := rng.IntN(2) // at most one of three says the opposite
	var w []string
	for k := range statements {
		s := &speaker{rng: rng, topic: rng.IntN(topics)}
		if k > 0 {
			w = append(w, joiner)
		}
		w = append(w, s.statement(good == (k >= against))...)
	}
	label := 0
	if good {
		label = 1
	}
	return text.Example{A: sentence(append(w, fullStop)), Label: label}
}

// statement says that a thing is good or bad, directly or by negating the opposite.
func (s *speaker) statement(good bool) []string {
	n := pick(s.rng, words.nouns[s.topic])
	a := n.agrees(s.rng.IntN(numbers))
	out := []string{determiners[0][a], n.form(a), copulas[a]}
	if s.chance(negated) {
		out = append(out, negator)
		good = !good
	}
	if s.chance(boosted) {
		out = append(out, pick(s.rng, boosters))
	}
	if good {
		return append(out, pick(s.rng, words.good))
	}
	return append(out, pick(s.rng, words.bad))
}

// topicRow is two sentences, about the same topic every other time.
func topicRow(rng *rand.Rand, i int) text.Example {
	first, second := newSpeaker(rng), newSpeaker(rng)
	if i%2 == 0 {
		second.topic = first.topic
	} else {
		second.topic = (first.topic + 1 + rng.IntN(topics-1)) % topics
	}
	a, _, _ := first.clause()
	b, _, _ := second.clause()
	return text.Example{A: sentence(append(a, fullStop)), B: sentence(append(b, fullStop)), Label: 1 - i%2}
}

// likenessParts are the noun phrases of a row of Likeness.
const likenessParts = 4

// likenessRow lists noun phrases twice, in different orders, with some of them replaced; the target is the share that stayed, times 5.
func likenessRow(rng *rand.Rand, _ int) text.Example {
	s := newSpeaker(rng)
	var a, b [][]string
	keep := rng.IntN(likenessParts + 1)
	for i := range likenessParts {
		phrase, _ := s.nounPhrase()
		a = append(a, phrase)
		if i >= keep {
			phrase, _ = s.nounPhrase()
		}
		b = append(b, phrase)
	}
	rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	return text.Example{A: listed(a), B: listed(b), Target: 5 * float64(keep) / likenessParts}
}

// listed joins phrases with the joiner.
func listed(phrases [][]string) string {
	var w []string
	for i, p := range phrases {
		if i > 0 {
			w = append(w, joiner)
		}
		w = append(w, p...)
	}
	return sentence(append(w, fullStop))
}
