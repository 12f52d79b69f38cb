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
			lines = append(lines, sentence(s.naming(s.clause())))
		}
		c.Documents = append(c.Documents, strings.Join(lines, "\n"))
	}
	return c
}

// Tasks are the four tasks: Grammar (is it well formed?), Mood (is it good or bad?), Topic (is a sentence about the topic that is
// named?) and Likeness (how much of a list is in another, 0 to 5).
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

// statements is how many a row of Mood has; it is odd, so that one side has the majority.
const statements = 3

// moodRow joins statements; the label is what most of them say, a negated adjective counting as its opposite. In half of the rows one says otherwise.
func moodRow(rng *rand.Rand, i int) text.Example {
	good := i%2 == 0
	against := rng.IntN(2 * statements) // beyond the last: none
	var w []string
	for k := range statements {
		s := &speaker{rng: rng, topic: rng.IntN(topics)}
		if k > 0 {
			w = append(w, joiner)
		}
		w = append(w, s.statement(good == (k != against))...)
	}
	return text.Example{A: sentence(w), Label: 1 - i%2}
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
	return append(out, pick(s.rng, words.polar(good)))
}

// topicRow is the name of a topic and two clauses, which are about it every other time.
func topicRow(rng *rand.Rand, i int) text.Example {
	s := newSpeaker(rng)
	named := (s.topic + i%2*(1+rng.IntN(topics-1))) % topics
	clauses := slices.Concat(s.clause().words, []string{joiner}, s.clause().words)
	return text.Example{A: sentence([]string{about, words.names[named]}), B: sentence(clauses), Label: 1 - i%2}
}

// likenessParts are the noun phrases of a row of Likeness.
const likenessParts = 3

// likenessRow lists different noun phrases twice, in different orders, with some of them replaced by such of another speaker; the target is the share that
// stayed, times 5.
func likenessRow(rng *rand.Rand, _ int) text.Example {
	a := newSpeaker(rng).unlike(likenessParts, nil)
	keep := rng.IntN(likenessParts + 1)
	b := slices.Concat(a[:keep], newSpeaker(rng).unlike(likenessParts-keep, a))
	rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	return text.Example{A: listed(a), B: listed(b), Target: 5 * float64(keep) / likenessParts}
}

// unlike is n noun phrases that differ from each other and from others.
func (s *speaker) unlike(n int, others [][]string) [][]string {
	var out [][]string
	for len(out) < n {
		w, _ := s.nounPhrase()
		same := func(other []string) bool { return slices.Equal(w, other) }
		if !slices.ContainsFunc(out, same) && !slices.ContainsFunc(others, same) {
			out = append(out, w)
		}
	}
	return out
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
	return sentence(w)
}
