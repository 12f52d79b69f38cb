package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"flexi/core/model"
	"flexi/core/run"
	"flexi/core/run/pareto"
)

// Asynchronous successive halving (ASHA, Li et al. 2020, arXiv 1810.05934) in its form that stops instead of pausing: nobody waits at a rung for others. With
// several objectives the order at a rung is that of non-dominated sorting (Schmucker et al. 2021, arXiv 2106.12639).

// judge decides about a training that comes to a rung with a value, among those that came before. The first eta-1 go on: there is nothing to compare with.
func judge(trials []run.Trial, id int, rung string, value float64, eta int, criteria []run.Criterion) run.Rung {
	points := [][]float64{rungPoint(&trials[id], value, criteria)}
	for i := range trials {
		if r := trials[i].At(rung); r != nil && i != id && trials[i].Arm == run.ArmSearch {
			points = append(points, rungPoint(&trials[i], r.Value, criteria))
		}
	}
	rank := 1 + slices.Index(pareto.Order(points), 0)
	n := len(points)
	return run.Rung{Rank: rank, Of: n, Kept: n < eta || rank <= (n+eta-1)/eta}
}

// rungPoint are the numbers that trials are compared by at a rung; what was not measured counts as worst.
func rungPoint(t *run.Trial, value float64, criteria []run.Criterion) []float64 {
	p := []float64{value}
	for _, c := range criteria {
		if !c.Minimize {
			continue
		}
		v, known := t.Measure(c.Name)
		if !known {
			v = math.MaxFloat64
		}
		p = append(p, -v)
	}
	return p
}

func medianOf(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rung compares a training with the others by a value, which what says for people, and ends it if it is not among the best.
func (c *candidate) rung(ctx context.Context, name, what string, value float64) error {
	if c.cfg.Halving.Eta == 0 || c.trial.Arm != run.ArmSearch {
		return nil
	}
	criteria := c.cfg.Criteria()
	r, err := c.worker.Reached(ctx, name, value, func(trials []run.Trial) run.Rung {
		return judge(trials, c.trial.ID, name, value, c.cfg.Halving.Eta, criteria)
	})
	if err != nil {
		return fmt.Errorf("rung %s: %w", name, err)
	}
	if !r.Kept {
		for _, k := range criteria {
			if k.Minimize {
				what += ", " + k.Name
			}
		}
		return run.Enough("rank %d of %d %s, not among the best 1/%d (%s)", r.Rank, r.Of, name, c.cfg.Halving.Eta, what)
	}
	return nil
}

// pretrainRung is the rung of the present step of pre-training, if there is one.
func (c *candidate) pretrainRung(ctx context.Context, total int) error {
	if c.cfg.Halving.Eta == 0 || c.trial.Arm != run.ArmSearch {
		return nil
	}
	for _, share := range c.cfg.Halving.Pretrain {
		if max(1, int(math.Round(share*float64(total)))) != c.state.Pretrain {
			continue
		}
		loss, err := c.heldOutLoss(ctx)
		if err != nil || math.IsNaN(loss) {
			return err
		}
		c.worker.Points(run.Point{Series: run.ValidationLoss, Step: c.state.Pretrain, Value: loss})
		if err := c.rung(ctx, fmt.Sprintf("at %g%% of pre-training", 100*share), fmt.Sprintf("held-out loss %.4g", loss), -loss); err != nil {
			return err
		}
	}
	return nil
}

// taskRung is the rung after the tasks that are finished, if there is one.
func (c *candidate) taskRung(ctx context.Context) error {
	done := c.state.Phase - 1
	if !slices.Contains(c.cfg.Halving.Tasks, done) || done >= len(c.data.Tasks) {
		return nil
	}
	var scores []float64
	for _, t := range c.data.Tasks[:done] {
		scores = append(scores, c.state.Primary[t.Name()])
	}
	mean := stat.Mean(scores, nil)
	return c.rung(ctx, fmt.Sprintf("after %d of %d tasks", done, len(c.data.Tasks)), fmt.Sprintf("mean score %.4g", mean), mean)
}

// measure times steps of pre-training until there are enough, and ends the training where what was measured is out of bounds.
func (c *candidate) measure(ctx context.Context, took time.Duration) error {
	if c.trial.Measures != nil || c.trial.Arm != run.ArmSearch || !c.cfg.measures() {
		return nil
	}
	c.stepTimes = append(c.stepTimes, took.Seconds())
	if len(c.stepTimes) < measuredSteps && c.state.Pretrain < c.pretrainSteps() {
		return nil
	}
	slices.Sort(c.stepTimes)
	bytes, err := c.net.TrainingBytes(model.Batch(c.data.Pretraining.Batch(0)))
	if err != nil {
		return fmt.Errorf("measure memory: %w", err)
	}
	all := map[string]float64{run.StepSeconds: medianOf(c.stepTimes), run.MemoryMB: float64(bytes) / 1e6}
	measures := map[string]float64{}
	for _, k := range c.cfg.Criteria() {
		if v, ok := all[k.Name]; ok {
			measures[k.Name] = v
		}
	}
	if err := c.worker.Measured(ctx, measures); err != nil {
		return fmt.Errorf("keep what was measured: %w", err)
	}
	c.trial.Measures = measures
	for _, k := range c.cfg.Criteria() {
		if v, known := c.trial.Measure(k.Name); known && !k.Allows(v) {
			return run.Enough("%s is %.4g, above the constraint %.4g", k.Name, v, k.Max)
		}
	}
	return nil
}
