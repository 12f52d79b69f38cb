package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/text"
)

// Most tokens of a row, special ones included.
const (
	longestSentence = 32
	longestPair     = 48
)

func taskNamed(t *testing.T, seed uint64, name string) text.Task {
	t.Helper()
	tasks := Tasks(seed)
	i := slices.Index(TaskNames(), name)
	require.Equal(t, name, tasks[i].Name)
	return tasks[i]
}

func rowsOf(t text.Task) []text.Example { return slices.Concat(t.Train, t.Dev) }

func TestLexicon(t *testing.T) {
	var forms []string
	for _, topic := range words.nouns {
		for _, n := range topic {
			forms = append(forms, n.form(n.agrees(0)), n.form(n.agrees(1)))
		}
	}
	for _, topic := range words.verbs {
		for _, v := range topic {
			for _, e := range verbEndings {
				forms = append(forms, v+e)
			}
		}
	}
	forms = slices.Concat(forms, words.good, words.bad, words.adverbs, prepositions, boosters, words.names[:],
		determiners[0][:], determiners[1][:], copulas[:], []string{negator, about, joiner, fullStop})
	slices.Sort(forms)
	require.Len(t, slices.Compact(slices.Clone(forms)), len(forms), "no form has two meanings")
	require.Equal(t, forms, words.allWords)
	require.Greater(t, len(forms), 300)
}

func TestTokenizerKnowsEveryWord(t *testing.T) {
	tok := Tokenizer()
	require.Equal(t, tok.Name(), Tokenizer().Name())
	for _, w := range words.allWords {
		ids := tok.Encode(w)
		require.Len(t, ids, 1, w)
		require.Equal(t, w, tok.Token(ids[0]))
	}
	require.NotContains(t, tok.Encode("other words are spelt"), tok.Special().Unknown)
}

// TestCorpus checks every sentence against the grammar, and that a document keeps to its topic while another has another.
func TestCorpus(t *testing.T) {
	c := Corpus(1, 300)
	require.Len(t, c.Documents, 300)
	topicOf := topicByWord()
	seen, names := map[int]int{}, 0
	for _, d := range c.Documents {
		sentences := strings.Split(d, "\n")
		require.GreaterOrEqual(t, len(sentences), minSentences)
		require.LessOrEqual(t, len(sentences), maxSentences)
		var counts [topics]int
		content := 0
		named := map[string]bool{}
		for _, s := range sentences {
			if clause, name, ok := strings.Cut(s, " "+about+" "); ok {
				s = clause + " " + fullStop
				named[name] = true
				names++
			}
			require.True(t, grammatical(s), s)
			for _, w := range strings.Fields(s) {
				if topic, ok := topicOf[w]; ok {
					counts[topic]++
					content++
				}
			}
		}
		most := slices.Max(counts[:])
		require.Greater(t, 2*most, content, "most words of a document have its topic: %s", d)
		topic := slices.Index(counts[:], most)
		seen[topic]++
		for name := range named {
			require.Equal(t, words.names[topic]+" "+fullStop, name, d)
		}
	}
	require.Len(t, seen, topics)
	require.Greater(t, names, 300)
}

// TestGrammarTask proves that right rows are sentences and wrong ones are not.
func TestGrammarTask(t *testing.T) {
	for _, e := range rowsOf(taskNamed(t, 3, "Grammar")) {
		require.Equal(t, e.Label == 1, grammatical(e.A), e.A)
	}
}

// TestViolations proves it for each kind of mistake, and that it changes no more than it says.
func TestViolations(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	far := 0
	for range 2000 {
		c := newSpeaker(rng).clause()
		require.True(t, grammatical(sentence(c.words)))
		for kind, violate := range violations {
			wrong := violate(rng, c)
			require.False(t, grammatical(sentence(wrong.words)), "kind %d: %q of %q", kind, wrong.words, c.words)
			changed := 0
			for i, w := range c.words {
				if wrong.words[i] != w {
					changed++
				}
			}
			require.LessOrEqual(t, changed, 2)
		}
		if c.verb >= 7 {
			far++ // at least one other noun, and a preposition, stand between
		}
	}
	require.Greater(t, far, 500, "agreement is often over a distance")
}

// polarity is what a statement says: the polarity of its adjective, turned by a negator.
func polarity(statement string) int {
	sign := 1
	for _, w := range strings.Fields(statement) {
		switch {
		case w == negator:
			sign = -sign
		case slices.Contains(words.good, w):
			return sign
		case slices.Contains(words.bad, w):
			return -sign
		}
	}
	return 0
}

// TestMoodTask derives every label from the text, and shows that without the negators it cannot be had.
func TestMoodTask(t *testing.T) {
	rows := rowsOf(taskNamed(t, 3, "Mood"))
	deaf := 0
	for _, e := range rows {
		sum, heard := 0, 0
		for _, s := range strings.Split(e.A, " "+joiner+" ") {
			p := polarity(s)
			require.NotZero(t, p, s)
			sum += p
			heard += polarity(strings.ReplaceAll(s, negator, ""))
		}
		require.Equal(t, e.Label == 1, sum > 0, e.A)
		if heard > 0 == (sum > 0) {
			deaf++
		}
	}
	require.Less(t, float64(deaf), 0.8*float64(len(rows)), "negation decides some rows")
	require.Greater(t, float64(deaf), 0.55*float64(len(rows)), "the words alone say something")
}

// topicByWord is the topic of every noun and verb form.
func topicByWord() map[string]int {
	out := map[string]int{}
	for topic := range topics {
		for _, n := range words.nouns[topic] {
			out[n.form(n.agrees(0))], out[n.form(n.agrees(1))] = topic, topic
		}
		for _, v := range words.verbs[topic] {
			for _, e := range verbEndings {
				out[v+e] = topic
			}
		}
	}
	return out
}

// TestTopicTask guesses the labels by counting the topics of words, which nearly always works.
func TestTopicTask(t *testing.T) {
	topicOf := topicByWord()
	rows := rowsOf(taskNamed(t, 3, "Topic"))
	hits := 0
	for _, e := range rows {
		named, ok := strings.CutPrefix(e.A, about+" ")
		require.True(t, ok, e.A)
		clauses := strings.Split(e.B, " "+joiner+" ")
		require.Len(t, clauses, 2)
		require.True(t, grammatical(clauses[0]+" "+fullStop), e.B)
		require.True(t, grammatical(clauses[1]), e.B)
		var counts [topics]int
		for _, w := range strings.Fields(e.B) {
			if topic, ok := topicOf[w]; ok {
				counts[topic]++
			}
		}
		guess := words.names[slices.Index(counts[:], slices.Max(counts[:]))]
		if (guess+" "+fullStop == named) == (e.Label == 1) {
			hits++
		}
	}
	share := float64(hits) / float64(len(rows))
	require.Greater(t, share, 0.98)
}

// TestLikenessTask counts the phrases that two lists share.
func TestLikenessTask(t *testing.T) {
	targets := map[float64]int{}
	for _, e := range rowsOf(taskNamed(t, 3, "Likeness")) {
		parts := func(s string) []string {
			return strings.Split(strings.TrimSuffix(s, " "+fullStop), " "+joiner+" ")
		}
		shared := 0
		for _, p := range parts(e.B) {
			if slices.Contains(parts(e.A), p) {
				shared++
			}
		}
		require.InDelta(t, 5*float64(shared)/likenessParts, e.Target, 1e-12, "%s | %s", e.A, e.B)
		targets[e.Target]++
	}
	require.Len(t, targets, likenessParts+1)
}

func TestTasks(t *testing.T) {
	tok := Tokenizer()
	for i, task := range Tasks(5) {
		t.Run(task.Name, func(t *testing.T) {
			require.Equal(t, TaskNames()[i], task.Name)
			require.Len(t, task.Train, trainRows)
			require.Len(t, task.Dev, devRows)
			seen := map[[2]string]bool{}
			var labels [2]int
			for _, e := range rowsOf(task) {
				key := [2]string{e.A, e.B}
				require.False(t, seen[key], "%v occurs twice", key)
				seen[key] = true
				labels[e.Label]++
				length, limit := len(tok.Encode(e.A))+2, longestSentence
				if task.Pair {
					length, limit = length+len(tok.Encode(e.B))+1, longestPair
				}
				require.LessOrEqual(t, length, limit, e)
				require.Equal(t, task.Pair, e.B != "")
				require.NotContains(t, tok.Encode(e.A+" "+e.B), tok.Special().Unknown)
			}
			if !task.Regression {
				require.Equal(t, labels[0], labels[1], "as many rows of each label")
			}
		})
	}
}

// TestSameBytes: the same seed gives the same bytes, on every machine; another seed gives others.
func TestSameBytes(t *testing.T) {
	digest := func(seed uint64) string {
		b, err := json.Marshal([]any{Corpus(seed, 50), Tasks(seed)})
		require.NoError(t, err)
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:8])
	}
	require.Equal(t, "d6ff6b1b9a722177", digest(1))
	require.NotEqual(t, digest(1), digest(2))
}
