package text

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// ChoiceMethod is how a model's outputs become an answer.
type ChoiceMethod string

const (
	// ByLetter takes the option whose letter is the most probable next token behind "Answer:".
	ByLetter ChoiceMethod = "letter logits"
	// ByLikelihood takes the option whose whole sequence has the smallest negative log-likelihood per token.
	ByLikelihood ChoiceMethod = "length-normalised likelihood"
)

// LetterTokens are, for every letter, the tokens that may stand for it behind a prompt that ends in ":": with a leading space and without. A
// letter that is never one token of its own is an error.
func LetterTokens(tok Tokenizer, names []string) ([][]int32, error) {
	out := make([][]int32, len(names))
	for i, name := range names {
		for _, form := range []string{name, " " + name} {
			ids := tok.Encode("Answer:" + form)
			if len(ids) == 0 {
				continue
			}
			last := ids[len(ids)-1]
			if strings.TrimSpace(tok.Decode([]int32{last})) == name && !slices.Contains(out[i], last) {
				out[i] = append(out[i], last)
			}
		}
		if len(out[i]) == 0 {
			return nil, fmt.Errorf("tokenizer %s has no token for the letter %s behind \"Answer:\"; score by likelihood instead", tok.Name(), name)
		}
	}
	return out, nil
}

// LetterScores are the log-probabilities, up to a constant they share, that the next token is one of each letter's tokens: log sum exp of their
// logits.
func LetterScores(logits []float32, tokens [][]int32) ([]float64, error) {
	scores := make([]float64, len(tokens))
	for i, ids := range tokens {
		largest := math.Inf(-1)
		for _, id := range ids {
			if id < 0 || int(id) >= len(logits) {
				return nil, fmt.Errorf("letter token %d: the model has %d logits", id, len(logits))
			}
			v := float64(logits[id])
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("the logit of token %d is not finite", id)
			}
			largest = max(largest, v)
		}
		var sum float64
		for _, id := range ids {
			sum += math.Exp(float64(logits[id]) - largest)
		}
		scores[i] = largest + math.Log(sum)
	}
	return scores, nil
}

// NegativeLogLikelihood is -log softmax(logits)[target].
func NegativeLogLikelihood(logits []float32, target int32) (float64, error) {
	if target < 0 || int(target) >= len(logits) {
		return 0, fmt.Errorf("target token %d: the model has %d logits", target, len(logits))
	}
	largest := math.Inf(-1)
	for _, v := range logits {
		largest = max(largest, float64(v))
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - largest)
	}
	nll := largest + math.Log(sum) - float64(logits[target])
	if math.IsNaN(nll) || math.IsInf(nll, 0) {
		return 0, fmt.Errorf("the log-likelihood of token %d is not finite", target)
	}
	return nll, nil
}

// LikelihoodScores are minus the negative log-likelihood per token of every option's sequence: sums[i] over counts[i] tokens.
func LikelihoodScores(sums []float64, counts []int) ([]float64, error) {
	if len(sums) != len(counts) {
		return nil, fmt.Errorf("%d likelihoods and %d token counts", len(sums), len(counts))
	}
	scores := make([]float64, len(sums))
	for i, s := range sums {
		if counts[i] < 1 || math.IsNaN(s) || math.IsInf(s, 0) {
			return nil, fmt.Errorf("option %d: a negative log-likelihood of %v over %d tokens cannot be compared", i, s, counts[i])
		}
		scores[i] = -s / float64(counts[i])
	}
	return scores, nil
}

// ChoiceScore is the accuracy of one way of answering, which it names.
type ChoiceScore struct {
	Task     string             `json:"task"`
	Method   ChoiceMethod       `json:"method"`
	Rows     int                `json:"rows"`
	Accuracy float64            `json:"accuracy"`         // percent
	Groups   map[string]float64 `json:"groups,omitempty"` // percent, where the task is reported in parts
}

func (s ChoiceScore) String() string {
	out := fmt.Sprintf("%s: %.2f%% of %d by %s", s.Task, s.Accuracy, s.Rows, s.Method)
	for _, g := range slices.Sorted(maps.Keys(s.Groups)) {
		out += fmt.Sprintf("; %s %.2f%%", g, s.Groups[g])
	}
	return out
}

// ScoreChoices compares the option with the largest score, of equal ones the first, with the right one: a list of scores per question, one per
// option.
func ScoreChoices(t ChoiceTask, rows []Choice, method ChoiceMethod, scores [][]float64) (ChoiceScore, error) {
	out := ChoiceScore{Task: t.Name, Method: method, Rows: len(rows)}
	if len(rows) == 0 || len(scores) != len(rows) {
		return out, fmt.Errorf("score %s: %d lists of scores for %d questions", t.Name, len(scores), len(rows))
	}
	hits, all := map[string]int{}, map[string]int{}
	total := 0
	for i, c := range rows {
		if len(scores[i]) != len(c.Options) {
			return out, fmt.Errorf("score %s: question %d has %d scores for %d options", t.Name, i+1, len(scores[i]), len(c.Options))
		}
		best := 0
		for j, v := range scores[i] {
			if math.IsNaN(v) {
				return out, fmt.Errorf("score %s: question %d: the score of option %c is not a number", t.Name, i+1, letters[j])
			}
			if v > scores[i][best] {
				best = j
			}
		}
		all[c.Group]++
		if best == c.Answer {
			hits[c.Group]++
			total++
		}
	}
	out.Accuracy = 100 * float64(total) / float64(len(rows))
	for g, n := range all {
		if g == "" {
			continue
		}
		if out.Groups == nil {
			out.Groups = map[string]float64{}
		}
		out.Groups[g] = 100 * float64(hits[g]) / float64(n)
	}
	return out, nil
}
