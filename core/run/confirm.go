package run

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// ValidationLoss names the part of a score that is a loss on held-out text.
const ValidationLoss = "validation loss"

// confidence is the share of intervals that hold the true mean, where measurements are normal.
const confidence = 0.95

// Sample sums up repeated measurements. Low and High bound the mean's interval of 95% by Student's t; they and SD are nil for a single measurement.
type Sample struct {
	N         int
	Mean      float64
	SD        *float64
	Low, High *float64
}

func sampleOf(x []float64) Sample {
	s := Sample{N: len(x)}
	if len(x) == 0 {
		return s
	}
	mean, sd := stat.MeanStdDev(x, nil)
	s.Mean = mean
	if len(x) == 1 {
		return s
	}
	n := float64(len(x))
	half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile((1+confidence)/2) * sd / math.Sqrt(n)
	low, high := mean-half, mean+half
	s.SD, s.Low, s.High = &sd, &low, &high
	return s
}

// Confirmation is what retraining one of the best brought.
type Confirmation struct {
	Trial int // of the search
	// First is the score that it was chosen for. It is the best of many noisy ones, so it promises too much (winner's curse) and is in no mean.
	First    float64
	Scratch  Sample // scores from scratch, with new seeds
	Transfer Sample // scores with the weights that the first training started from; N 0 where it had none
}

// Confirmations are all retrainings of a run.
type Confirmations struct {
	// Ranking has the best mean from scratch first; those without a result yet are left out.
	Ranking []Confirmation
	// Lead is the mean of the first less that of the second, in favour of the first, with Welch's interval; N 0 where they have fewer than two retrainings
	// each. It says nothing if its interval holds 0.
	Lead Sample
	// Excess is by how much first scores exceed the means of their retrainings, over architectures: what choosing by one score promised too much,
	// together with what weight transfer gave the first score.
	Excess Sample
	// Transfer compares retrainings with and without the parent's weights; nil where there is no pair of the same seed.
	Transfer *TransferEffect
}

// TransferEffect is what weight transfer changes, over pairs of retrainings of the same architecture and seed: with transfer minus without. The intervals
// are about these architectures and parents.
type TransferEffect struct {
	Pairs   int
	Score   Sample            // the bias of the score
	Parts   map[string]Sample // of the parts of the score, the validation loss among them
	Seconds Sample
	// TimeShare is the training time with transfer as a share of that without.
	TimeShare float64
}

// retrained are the finished retrainings of one trial of the search.
type retrained struct {
	first             *Trial
	scratch, transfer []*Trial
}

// retrainings gathers finished retrainings by their trial, in the order of the first of each.
func retrainings(trials []*Trial) []*retrained {
	var all []*retrained
	of := map[int]*retrained{}
	for _, t := range trials {
		if t.Arm == ArmSearch || !t.scored() || t.Of < 0 || t.Of >= len(trials) || !trials[t.Of].scored() {
			continue
		}
		r := of[t.Of]
		if r == nil {
			r = &retrained{first: trials[t.Of]}
			of[t.Of], all = r, append(all, r)
		}
		if t.Arm == ArmConfirm {
			r.scratch = append(r.scratch, t)
		} else {
			r.transfer = append(r.transfer, t)
		}
	}
	return all
}

// ConfirmationsOf reads the retrainings among a run's trials; nil if there are none with a result.
func ConfirmationsOf(trials []*Trial, o Objective) *Confirmations {
	all := retrainings(trials)
	if len(all) == 0 {
		return nil
	}
	c := &Confirmations{}
	var excess []float64
	var scratch, transfer []*Trial
	for _, r := range all {
		scratch, transfer = append(scratch, r.scratch...), append(transfer, r.transfer...)
		if len(r.scratch) == 0 {
			continue
		}
		k := Confirmation{Trial: r.first.ID, First: *r.first.Score, Scratch: sampleOf(scores(r.scratch)), Transfer: sampleOf(scores(r.transfer))}
		c.Ranking = append(c.Ranking, k)
		excess = append(excess, o.gain(k.First, k.Scratch.Mean))
	}
	slices.SortStableFunc(c.Ranking, func(a, b Confirmation) int { return cmp.Compare(o.gain(b.Scratch.Mean, a.Scratch.Mean), 0) })
	c.Excess, c.Transfer = sampleOf(excess), transferEffect(scratch, transfer)
	if len(c.Ranking) > 1 {
		c.Lead = welch(o, c.Ranking[0].Scratch, c.Ranking[1].Scratch)
	}
	return c
}

// welch is by how much the mean of a beats that of b, with an interval that does not assume equal variances (Welch 1947).
func welch(o Objective, a, b Sample) Sample {
	if a.SD == nil || b.SD == nil {
		return Sample{}
	}
	va, vb := *a.SD**a.SD/float64(a.N), *b.SD**b.SD/float64(b.N)
	s := Sample{N: a.N + b.N, Mean: o.gain(a.Mean, b.Mean)}
	half := 0.0
	if va+vb > 0 {
		freedom := (va + vb) * (va + vb) / (va*va/float64(a.N-1) + vb*vb/float64(b.N-1))
		half = distuv.StudentsT{Sigma: 1, Nu: freedom}.Quantile((1+confidence)/2) * math.Sqrt(va+vb)
	}
	low, high := s.Mean-half, s.Mean+half
	s.Low, s.High = &low, &high
	return s
}

func scores(trials []*Trial) []float64 {
	out := make([]float64, len(trials))
	for i, t := range trials {
		out[i] = *t.Score
	}
	return out
}

// transferEffect pairs retrainings of the same trial and seed. A retraining whose parent's weights were lost trained from scratch, and makes no pair.
func transferEffect(scratch, transfer []*Trial) *TransferEffect {
	type key struct{ of, repeat int }
	without := make(map[key]*Trial, len(scratch))
	for _, t := range scratch {
		without[key{t.Of, t.Repeat}] = t
	}
	var score, seconds []float64
	var with, alone float64
	parts := map[string][]float64{}
	for _, t := range transfer {
		s := without[key{t.Of, t.Repeat}]
		if s == nil || t.Parent < 0 {
			continue
		}
		score, seconds = append(score, *t.Score-*s.Score), append(seconds, t.Seconds-s.Seconds)
		with, alone = with+t.Seconds, alone+s.Seconds
		for name, v := range t.Scores {
			if base, ok := s.Scores[name]; ok {
				parts[name] = append(parts[name], v-base)
			}
		}
	}
	if len(score) == 0 {
		return nil
	}
	e := &TransferEffect{Pairs: len(score), Score: sampleOf(score), Seconds: sampleOf(seconds), Parts: make(map[string]Sample, len(parts))}
	if alone > 0 {
		e.TimeShare = with / alone
	}
	for name, x := range parts {
		e.Parts[name] = sampleOf(x)
	}
	return e
}

// Chosen is the trial that the run recommends: the best mean of retrainings where there are any, else the best score; -1 for none.
func (v *RunView) Chosen() int {
	if c := ConfirmationsOf(v.Trials, v.Objective); c != nil && len(c.Ranking) > 0 {
		return c.Ranking[0].Trial
	}
	return v.Best
}
