package finetune

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/text"
)

// wordTokens knows words; a text is its words.
type wordTokens struct{ words []string }

func (w wordTokens) Encode(s string) []int32 {
	var ids []int32
	for _, f := range strings.Fields(strings.ReplaceAll(s, ":", ": ")) {
		id := int32(0)
		for i, v := range w.words {
			if v == f {
				id = int32(i)
			}
		}
		ids = append(ids, id)
	}
	return ids
}

func (w wordTokens) Decode(ids []int32) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = w.words[id]
	}
	return strings.Join(out, " ")
}
func (w wordTokens) Token(id int32) string { return w.words[id] }
func (w wordTokens) Size() int             { return len(w.words) }
func (wordTokens) Special() text.Special   { return text.Special{} }
func (wordTokens) Name() string            { return "words" }

// bigram is a model that gives every next word probability 1/2 after its favourite predecessor, and the rest evenly.
func bigram(w wordTokens, follows map[string]string) PickedLogits {
	return func(_ context.Context, b text.Batch) ([]float32, error) {
		out := make([]float32, len(b.Picked)*w.Size())
		for i, p := range b.Picked {
			if p < 0 {
				out[i*w.Size()] = float32(math.NaN()) // padding must not be looked at
				continue
			}
			for id, word := range w.words {
				if follows[w.words[b.IDs[p]]] == word {
					out[i*w.Size()+id] = float32(math.Log(float64(w.Size() - 1)))
				}
			}
		}
		return out, nil
	}
}

func TestAnswerChoices(t *testing.T) {
	w := wordTokens{strings.Fields("? A B the cat sat dog flew Answer: Q: made")}
	task := text.ChoiceTask{Name: "WinoGrande"}
	rows := []text.Choice{
		{Stem: "the _ sat", Options: []string{"cat", "dog"}},
		{Stem: "the _ flew", Options: []string{"cat", "dog"}, Answer: 1},
		{Stem: "the _ flew", Options: []string{"dog", "cat"}, Answer: 1},
	}
	o := text.CausalOptions{Batch: 2, MaxSeq: 32, BOS: -1, EOS: -1}
	likes := bigram(w, map[string]string{"cat": "sat", "dog": "flew", "Answer:": "B"})

	score, err := AnswerChoices(context.Background(), likes, w, task, rows, text.ByLikelihood, o)
	require.NoError(t, err)
	require.Equal(t, "WinoGrande: 66.67% of 3 by length-normalised likelihood", score.String(), "the cat sat, the dog flew, and so it says of the third")
	score, err = AnswerChoices(context.Background(), likes, w, task, rows, text.ByLetter, o)
	require.NoError(t, err)
	require.Equal(t, "WinoGrande: 66.67% of 3 by letter logits", score.String(), "always B")
	score, err = AnswerChoices(context.Background(), bigram(w, map[string]string{"Answer:": "A"}), w, task, rows, text.ByLetter, o)
	require.NoError(t, err)
	require.InDelta(t, 100.0/3, score.Accuracy, 1e-9)

	_, err = AnswerChoices(context.Background(), likes, w, task, rows, "guessing", o)
	require.ErrorContains(t, err, "answer WinoGrande by guessing: there is no such method; methods are letter logits and length-normalised likelihood")
	bad := func(context.Context, text.Batch) ([]float32, error) { return nil, errors.New("out of memory") }
	_, err = AnswerChoices(context.Background(), bad, w, task, rows, text.ByLetter, o)
	require.ErrorContains(t, err, "out of memory")
	short := func(context.Context, text.Batch) ([]float32, error) { return make([]float32, 7), nil }
	_, err = AnswerChoices(context.Background(), short, w, task, rows, text.ByLetter, o)
	require.ErrorContains(t, err, "7 logits for 8 positions")
	broken := func(_ context.Context, b text.Batch) ([]float32, error) {
		out := make([]float32, len(b.Picked)*w.Size())
		for i := range out {
			out[i] = float32(math.Inf(1))
		}
		return out, nil
	}
	for _, method := range []text.ChoiceMethod{text.ByLetter, text.ByLikelihood} {
		_, err = AnswerChoices(context.Background(), broken, w, task, rows, method, o)
		require.ErrorContains(t, err, "not finite")
	}
}
