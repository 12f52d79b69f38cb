package run

import (
	"math"
	"math/rand/v2"
	"testing"
)

func finishedTrial(id int, score float64, arm Arm, of, repeat int) *Trial {
	return &Trial{ID: id, State: Done, Score: &score, Arm: arm, Of: of, Repeat: repeat, Parent: -1, Seconds: 100}
}

// TestConfirmationsRankByMean: the first score is in no mean, the intervals are Student's, and pairs are those of the same trial and seed.
func TestConfirmationsRankByMean(t *testing.T) {
	trials := []*Trial{
		finishedTrial(0, 80, ArmSearch, 0, 0), finishedTrial(1, 79, ArmSearch, 0, 0),
		finishedTrial(2, 74, ArmConfirm, 0, 0), finishedTrial(3, 76, ArmConfirm, 1, 0),
		finishedTrial(4, 76, ArmConfirm, 0, 1), finishedTrial(5, 78, ArmConfirm, 1, 1),
		finishedTrial(6, 75, ArmTransfer, 0, 0), finishedTrial(7, 78, ArmTransfer, 0, 1),
		finishedTrial(8, 90, ArmTransfer, 0, 2), // no training from scratch with this seed yet
		finishedTrial(9, 91, ArmTransfer, 1, 0), // its parent's weights were lost
	}
	for i, seconds := range []float64{6: 40, 7: 20} {
		if seconds > 0 {
			trials[i].Parent, trials[i].Seconds, trials[i].Scores = 0, seconds, map[string]float64{ValidationLoss: 3}
		}
	}
	trials[2].Scores = map[string]float64{ValidationLoss: 3.5}
	c := ConfirmationsOf(trials, Objective{Maximize: true})
	if len(c.Ranking) != 2 || c.Ranking[0].Trial != 1 || c.Ranking[1].Trial != 0 {
		t.Fatalf("ranking %+v", c.Ranking)
	}
	s := c.Ranking[1].Scratch
	// The 97.5% quantile of Student's t with one degree of freedom is tan(0.475 pi) = 12.706; the standard error is sqrt(2)/sqrt(2).
	if half := math.Tan(0.475 * math.Pi); s.N != 2 || s.Mean != 75 || math.Abs(*s.Low-(75-half)) > 1e-6 || math.Abs(*s.High-(75+half)) > 1e-6 {
		t.Errorf("scratch of the first: %+v", s)
	}
	if c.Ranking[1].First != 80 || c.Excess.Mean != (5+2)/2.0 || c.Excess.N != 2 {
		t.Errorf("first %g, excess %+v", c.Ranking[1].First, c.Excess)
	}
	e := c.Transfer
	if e.Pairs != 2 || e.Score.Mean != 1.5 || e.Seconds.Mean != -70 || math.Abs(e.TimeShare-0.3) > 1e-12 {
		t.Errorf("transfer %+v", e)
	}
	if p := e.Parts[ValidationLoss]; p.N != 1 || p.Mean != -0.5 || p.Low != nil {
		t.Errorf("validation loss %+v", p)
	}
	// Both have variance 2 and two measurements: the difference 2 has standard error sqrt(2) and, by Welch, 2 degrees of freedom (quantile 4.3027).
	if l := c.Lead; l.Mean != 2 || math.Abs(*l.Low-(2-4.30265*math.Sqrt2)) > 1e-3 || math.Abs(*l.High-(2+4.30265*math.Sqrt2)) > 1e-3 {
		t.Errorf("lead %+v", l)
	}
	if got := ConfirmationsOf(trials, Objective{}); got.Ranking[0].Trial != 0 || got.Excess.Mean != -3.5 {
		t.Errorf("minimised: %+v", got)
	}
	if ConfirmationsOf(trials[:2], Objective{}) != nil {
		t.Error("confirmations without retrainings")
	}
	v := RunView{Trials: trials, Best: 0, Run: Run{Objective: Objective{Maximize: true}}}
	if v.Chosen() != 1 {
		t.Errorf("chosen %d", v.Chosen())
	}
	if v.Trials = trials[:2]; v.Chosen() != 0 {
		t.Errorf("chosen %d without retrainings", v.Chosen())
	}
}

// TestSampleCovers: 95% intervals of five normal measurements hold the mean in 95% of 20,000 draws (standard error 0.15%).
func TestSampleCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	held := 0
	const draws = 20_000
	for range draws {
		x := make([]float64, 5)
		for i := range x {
			x[i] = 3 + 2*rng.NormFloat64()
		}
		if s := sampleOf(x); *s.Low <= 3 && 3 <= *s.High {
			held++
		}
	}
	if share := float64(held) / draws; math.Abs(share-confidence) > 0.006 {
		t.Errorf("intervals hold %.4f", share)
	}
}

// TestStandingLeavesRetrainingsOut: they count as finished and failed, and are never the best.
func TestStandingLeavesRetrainingsOut(t *testing.T) {
	all := []*Trial{finishedTrial(0, 70, ArmSearch, 0, 0), finishedTrial(1, 90, ArmConfirm, 0, 0), {ID: 2, State: Failed, Arm: ArmTransfer}}
	s := standingOf(all, goals{objective: Objective{Maximize: true}})
	if s.done != 2 || s.failed != 1 || s.bestID() != 0 || len(s.bestSoFar) != 1 || len(s.frontier) != 1 {
		t.Errorf("standing %+v", s)
	}
}
