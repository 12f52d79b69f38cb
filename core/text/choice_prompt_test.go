package text

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPromptsOfTheSpecification compares with the templates of section 9, byte for byte.
func TestPromptsOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		task      string
		row       Choice
		text      string
		cue, last string
	}{
		{
			"HellaSwag",
			Choice{Stem: "A man", Options: []string{"a", "b", "c", "d"}},
			"A man\nQuestion: Which ending makes the most sense?\nA. a\nB. b\nC. c\nD. d\nYou may choose from 'A', 'B', 'C', 'D'.\nAnswer:", "", "A man d",
		},
		{"PIQA", Choice{Stem: "g", Options: []string{"a", "b"}}, "g\nA. a\nB. b\nAnswer:", "", "The following makes sense: \nQ: g\nA: b\n"},
		{
			"WinoGrande",
			Choice{Stem: "I saw _.", Options: []string{"a", "b"}},
			"Which of the following is a good sentence:\nA. I saw a.\nB. I saw b.\nAnswer:", "", "I saw b.",
		},
		{
			"RACE",
			Choice{Passage: "t", Stem: "q", Options: []string{"a", "b", "c", "d"}},
			"Read the article, and answer the question by replying A, B, C or D.\n\nArticle:\nt\n\nQ: q\n\nA. a\nB. b\nC. c\nD. d", "\n\nAnswer:", "Article:\nt\n\nQ: q\n\nA: d",
		},
		{"ARC-Easy", Choice{Stem: "q", Options: []string{"a", "b", "c"}}, "Question: q\nA. a\nB. b\nC. c\nAnswer:", "", "Question: q\nAnswer: c"},
		{"BoolQ", Choice{Passage: "p", Stem: "is it", Options: []string{"Yes", "No"}}, "p\nQuestion: is it?\nA. Yes\nB. No\nAnswer:", "", "p\nQuestion: is it?\nAnswer: No"},
	} {
		p, err := ChoiceTask{Name: c.task}.Prompts([]Choice{c.row})
		require.NoError(t, err)
		require.Equal(t, []string{c.text, c.cue, c.last}, []string{p[0].Text, p[0].Cue, p[0].Sequences[len(c.row.Options)-1]}, c.task)
		require.Equal(t, strings.Split("ABCD"[:len(c.row.Options)], ""), p[0].Letters)
	}
}

func TestTrainingRows(t *testing.T) {
	task := ChoiceTask{Name: "RACE", Train: []Choice{{Passage: "t", Stem: "q", Options: []string{"a", "b"}, Answer: 1}}}
	rows, err := task.TrainingRows(task.Train, Plain)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(rows[0].Prompt, "B. b\n\nAnswer:"))
	require.Equal(t, " B", rows[0].Response)
	rows, err = task.TrainingRows(task.Train, Llama3)
	require.NoError(t, err)
	require.Equal(t, "B<|eot_id|>", rows[0].Response)
	require.True(t, strings.HasPrefix(rows[0].Prompt, "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant.<|eot_id|>"+
		"<|start_header_id|>user<|end_header_id|>\n\nRead the article"))
	require.True(t, strings.HasSuffix(rows[0].Prompt, "B. b<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"))
	_, err = task.TrainingRows(task.Train, "chatml")
	require.ErrorContains(t, err, "templates are plain and llama3")
}

func TestLetterTokens(t *testing.T) {
	for name, want := range map[string][]string{"roberta": {"A", "ĠA"}, "bert-base-uncased": nil} {
		tok, err := LoadTokenizer(sharedData(t, "tokenizers", name))
		require.NoError(t, err)
		ids, err := LetterTokens(tok, []string{"A", "B"})
		if want == nil {
			require.ErrorContains(t, err, "no token for the letter A")
			continue
		}
		require.NoError(t, err)
		require.Len(t, ids, 2)
		require.Equal(t, want, []string{tok.Token(ids[0][0]), tok.Token(ids[0][1])}, name)
	}
}

func TestLetterScores(t *testing.T) {
	scores, err := LetterScores([]float32{0, 1, 2, 900, 901}, [][]int32{{0, 1}, {2}, {3, 4}})
	require.NoError(t, err)
	require.InDelta(t, math.Log(1+math.E), scores[0], 1e-12)
	require.InDelta(t, 2, scores[1], 1e-12)
	require.InDelta(t, 901+math.Log1p(math.Exp(-1)), scores[2], 1e-9, "no overflow")
	_, err = LetterScores([]float32{float32(math.NaN())}, [][]int32{{0}})
	require.ErrorContains(t, err, "not finite")
	_, err = LetterScores([]float32{0}, [][]int32{{1}})
	require.ErrorContains(t, err, "the model has 1 logits")
}

func TestLikelihoodScores(t *testing.T) {
	nll, err := NegativeLogLikelihood([]float32{0, 0, 0, 0}, 2)
	require.NoError(t, err)
	require.InDelta(t, math.Log(4), nll, 1e-12)
	nll, err = NegativeLogLikelihood([]float32{1000, 1000}, 1)
	require.NoError(t, err)
	require.InDelta(t, math.Ln2, nll, 1e-12)
	_, err = NegativeLogLikelihood([]float32{0, float32(math.Inf(1))}, 0)
	require.ErrorContains(t, err, "not finite")
	scores, err := LikelihoodScores([]float64{6, 8}, []int{2, 4})
	require.NoError(t, err)
	require.Equal(t, []float64{-3, -2}, scores, "the longer option is likelier per token, though less likely in all")
	_, err = LikelihoodScores([]float64{6}, []int{0})
	require.ErrorContains(t, err, "over 0 tokens")
}

func TestScoreChoices(t *testing.T) {
	two := []string{"a", "b"}
	rows := []Choice{{Group: "middle", Options: two, Answer: 1}, {Group: "high", Options: two}, {Group: "high", Options: two, Answer: 1}}
	score, err := ScoreChoices(ChoiceTask{Name: "RACE"}, rows, ByLetter, [][]float64{{0, 1}, {0, 0}, {2, 1}})
	require.NoError(t, err)
	require.Equal(t, "RACE: 66.67% of 3 by letter logits; high 50.00%; middle 100.00%", score.String(), "the first of equal options is the answer")
	_, err = ScoreChoices(ChoiceTask{}, rows, ByLetter, [][]float64{{0, 1}, {0, math.NaN()}, {2, 1}})
	require.ErrorContains(t, err, "question 2: the score of option B is not a number")
	_, err = ScoreChoices(ChoiceTask{}, rows, ByLetter, [][]float64{{0, 1}, {0}, {2, 1}})
	require.ErrorContains(t, err, "1 scores for 2 options")
}

func causalOptions(batch, seq int) CausalOptions {
	return CausalOptions{Batch: batch, MaxSeq: seq, Seed: 5, BOS: 2, EOS: 3, Pad: 0}
}

func TestCausalLoaderMasksPrompts(t *testing.T) {
	tok := numbered(t, 100)
	var rows []CausalRow
	for i := range 57 {
		rows = append(rows, CausalRow{wordRange(i, i+1+i%7), wordRange(i+20, i+21+i%3)})
	}
	l, err := NewCausalLoader(tok, rows, causalOptions(4, 32))
	require.NoError(t, err)
	require.Equal(t, 15, l.Steps())
	seen := map[int]bool{}
	for i := range l.Steps() {
		b := l.Batch(2, i)
		require.Equal(t, b, l.Batch(2, i))
		require.Zero(t, b.T%8+len(b.Picked)%8)
		at := 0
		for j := range b.B {
			line := b.IDs[j*b.T:][:b.T]
			number := int(line[1]) - firstWord
			seen[number] = true
			prompt, response := 1+number%7, 1+number%3
			require.Equal(t, int32(1+prompt+response+1), b.Lengths[j])
			require.Equal(t, []int32{2, 3}, []int32{line[0], line[b.Lengths[j]-1]}, "BOS first, EOS last")
			for k := range response + 1 {
				p := int(b.Picked[at])
				require.Equal(t, j*b.T+prompt+k, p, "the position before a token of the response")
				require.Equal(t, b.IDs[p+1], b.Labels[at])
				at++
			}
		}
		require.Equal(t, slices.Repeat([]int32{-1}, len(b.Picked)-at), b.Picked[at:])
	}
	require.Len(t, seen, 57)
}

func TestCausalTruncation(t *testing.T) {
	tok := numbered(t, 100)
	batch := func(prompt, response int) Batch {
		l, err := NewCausalLoader(tok, []CausalRow{{wordRange(0, prompt), wordRange(50, 50+response)}}, causalOptions(1, 16))
		require.NoError(t, err)
		return l.Batch(0, 0)
	}
	// 30 prompt and 10 response tokens with BOS and EOS: floor(16*10/40) = 4 of the response stay.
	b := batch(29, 9)
	require.Equal(t, []int32{11, 12, 13, 14, -1, -1, -1, -1}, b.Picked)
	require.Equal(t, int32(firstWord+50), b.Labels[0])
	require.Equal(t, int32(14), batch(40, 0).Picked[0], "at least one response token")
	_, err := NewCausalLoader(tok, []CausalRow{{"", "w1"}}, CausalOptions{Batch: 1, MaxSeq: 8, BOS: -1, EOS: -1})
	require.ErrorContains(t, err, "training row 1: a prompt of 0 tokens")
	_, err = NewCausalLoader(tok, nil, CausalOptions{Batch: 1, MaxSeq: 8, Pad: -1})
	require.ErrorContains(t, err, "padding token -1")
}

func TestChoiceBatches(t *testing.T) {
	tok := numbered(t, 100)
	prompts := []Prompt{
		{Text: wordRange(0, 9), Cue: " w40", Sequences: []string{wordRange(0, 5), wordRange(0, 7)}},
		{Text: wordRange(10, 30), Sequences: []string{wordRange(10, 12), wordRange(10, 30)}},
	}
	for method, texts := range map[ChoiceMethod]int{ByLetter: 2, ByLikelihood: 4} {
		batches, err := ChoiceBatches(tok, prompts, method, causalOptions(3, 16))
		require.NoError(t, err)
		seen := map[[2]int]int{}
		for _, b := range batches {
			require.Len(t, b.Spans, b.B)
			for i, s := range b.Spans {
				line := b.IDs[i*b.T:][:b.Lengths[i]]
				require.Equal(t, int32(2), line[0])
				seen[[2]int{s.Question, s.Option}] = s.To - s.From
				for at := s.From; at < s.To; at++ {
					p := int(b.Picked[at])
					require.Equal(t, i, p/b.T)
					if method == ByLetter {
						require.Equal(t, int(b.Lengths[i])-1, p%b.T)
					} else {
						require.Equal(t, b.IDs[p+1], b.Labels[at])
					}
				}
			}
		}
		require.Len(t, seen, texts)
		if method == ByLikelihood {
			require.Equal(t, map[[2]int]int{{0, 0}: 5, {0, 1}: 7, {1, 0}: 2, {1, 1}: 15}, seen, "the last lost its beginning")
		}
	}
	_, err := ChoiceBatches(tok, []Prompt{{Sequences: []string{""}}}, ByLikelihood, causalOptions(1, 8))
	require.ErrorContains(t, err, "question 1 has a text of 1 tokens")
}
