package finetune

import (
	"context"
	"fmt"

	"flexi/core/text"
)

// PickedLogits gives a causal model's logits at a batch's picked positions, [len(Picked), vocabulary] row by row; those of padded positions are not
// looked at.
type PickedLogits func(ctx context.Context, b text.Batch) ([]float32, error)

// AnswerChoices lets a model answer a task's questions and scores them; the score names the method.
func AnswerChoices(
	ctx context.Context, logits PickedLogits, tok text.Tokenizer, t text.ChoiceTask, rows []text.Choice, method text.ChoiceMethod, o text.CausalOptions,
) (text.ChoiceScore, error) {
	fail := func(err error) (text.ChoiceScore, error) {
		return text.ChoiceScore{}, fmt.Errorf("answer %s by %s: %w", t.Name, method, err)
	}
	if method != text.ByLetter && method != text.ByLikelihood {
		return fail(fmt.Errorf("there is no such method; methods are %s and %s", text.ByLetter, text.ByLikelihood))
	}
	prompts, err := t.Prompts(rows)
	if err != nil {
		return fail(err)
	}
	batches, err := text.ChoiceBatches(tok, prompts, method, o)
	if err != nil {
		return fail(err)
	}
	scores := make([][]float64, len(rows))
	for i, r := range rows {
		scores[i] = make([]float64, len(r.Options))
	}
	letters, err := letterTokens(tok, prompts, method)
	if err != nil {
		return fail(err)
	}
	for _, b := range batches {
		out, err := logits(ctx, b.Batch)
		if err != nil {
			return fail(err)
		}
		if len(b.Picked) == 0 || len(out)%len(b.Picked) != 0 {
			return fail(fmt.Errorf("%d logits for %d positions", len(out), len(b.Picked)))
		}
		width := len(out) / len(b.Picked)
		for _, s := range b.Spans {
			part := out[s.From*width : s.To*width]
			if err := scoreSpan(scores[s.Question], s, part, b.Labels[s.From:s.To], letters); err != nil {
				return fail(fmt.Errorf("question %d: %w", s.Question+1, err))
			}
		}
	}
	return text.ScoreChoices(t, rows, method, scores)
}

// letterTokens are the tokens of as many letters as the questions have at most; none where answers are compared by likelihood.
func letterTokens(tok text.Tokenizer, prompts []text.Prompt, method text.ChoiceMethod) ([][]int32, error) {
	var most []string
	for _, p := range prompts {
		if len(p.Letters) > len(most) {
			most = p.Letters
		}
	}
	if method != text.ByLetter {
		return nil, nil
	}
	return text.LetterTokens(tok, most)
}

// scoreSpan scores all options of a question from one row of logits, or one option from a row per token.
func scoreSpan(scores []float64, s text.Span, logits []float32, targets []int32, letters [][]int32) error {
	if s.Option < 0 {
		all, err := text.LetterScores(logits, letters[:len(scores)])
		copy(scores, all)
		return err
	}
	width := len(logits) / len(targets)
	var sum float64
	for i, target := range targets {
		nll, err := text.NegativeLogLikelihood(logits[i*width:(i+1)*width], target)
		if err != nil {
			return err
		}
		sum += nll
	}
	one, err := text.LikelihoodScores([]float64{sum}, []int{len(targets)})
	if err != nil {
		return err
	}
	scores[s.Option] = one[0]
	return nil
}
