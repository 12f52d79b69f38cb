package search

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"flexi/core/run"
)

// HalvingConfig is asynchronous successive halving: a training that comes to a rung goes on if it is among the best 1/Eta of those that came there so far.
type HalvingConfig struct {
	Eta int `yaml:"eta" json:"eta"` // 0: every training goes to its end
	// Pretrain are rungs at shares of the pre-training, where losses on held-out text are compared; Tasks are rungs after so many tasks, where the mean of
	// their scores is.
	Pretrain []float64 `yaml:"pretrain" json:"pretrain"`
	Tasks    []int     `yaml:"tasks" json:"tasks"`
}

// criterionNames are what a search can minimise or bound beside its score.
var criterionNames = []string{run.Params, run.StepSeconds, run.MemoryMB}

// Criteria are what counts beside the score, sorted by name.
func (c Config) Criteria() []run.Criterion {
	var out []run.Criterion
	for _, name := range slices.Sorted(slices.Values(criterionNames)) {
		k := run.Criterion{Name: name, Minimize: slices.Contains(c.Objectives, name), Max: c.Constraints[name]}
		if k.Minimize || k.Max > 0 {
			out = append(out, k)
		}
	}
	return out
}

// Criteria implements run.Comparer. A configuration that cannot be read has none; who opens the run says why.
func (k *Kind) Criteria(config json.RawMessage) []run.Criterion {
	var c Config
	if json.Unmarshal(config, &c) != nil {
		return nil
	}
	return c.Criteria()
}

// measures reports whether any of the criteria is known from training only.
func (c Config) measures() bool {
	return slices.ContainsFunc(c.Criteria(), func(k run.Criterion) bool { return k.Name != run.Params })
}

// measuredSteps is how many steps of pre-training a step's time is the median of.
const measuredSteps = 20

// validateGoals reports mistakes in objectives, constraints and halving.
func (c Config) validateGoals(check func(ok bool, format string, args ...any)) {
	for _, name := range append(slices.Sorted(maps.Keys(c.Constraints)), c.Objectives...) {
		check(slices.Contains(criterionNames, name), "objectives, constraints: there is no %q; there are %v", name, criterionNames)
	}
	for name, bound := range c.Constraints {
		check(bound > 0, "constraints.%s: %v, must be positive", name, bound)
	}
	if c.measures() {
		check(c.Policy == gpPolicy || c.Policy == "random", "policy: %s knows the score alone; objectives and measured constraints need %s (or random)", c.Policy, gpPolicy)
		shortest := c.Pretrain.Steps
		if c.Transfer.Mode != "off" {
			shortest = int(c.Transfer.PretrainShare * float64(c.Pretrain.Steps))
		}
		check(shortest > 0, "objectives, constraints: what is measured is measured in pre-training; pretrain.steps and transfer.pretrain_share leave none")
	}
	if c.Halving.Eta == 0 {
		return
	}
	check(c.Halving.Eta >= 2, "halving.eta: %d, must be at least 2, or 0 for none", c.Halving.Eta)
	check(len(c.Halving.Pretrain)+len(c.Halving.Tasks) > 0, "halving: name rungs under pretrain or tasks")
	check(len(c.Architectures) == 0, "halving: given architectures are all trained to their ends")
	for _, share := range c.Halving.Pretrain {
		check(share > 0 && share <= 1, "halving.pretrain: share %v, must be over 0 and at most 1", share)
	}
	for _, n := range c.Halving.Tasks {
		check(n >= 1, "halving.tasks: %d, must be at least 1", n)
	}
}

// validateRungs reports rungs after more tasks than there are before the last one.
func (c Config) validateRungs() error {
	for _, n := range c.Halving.Tasks {
		if c.Halving.Eta > 0 && n >= len(c.Data.Tasks) {
			return fmt.Errorf("halving.tasks: a rung after %d tasks stops nothing; there are %d", n, len(c.Data.Tasks))
		}
	}
	return nil
}
