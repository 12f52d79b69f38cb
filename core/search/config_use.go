package search

import (
	"fmt"
	"strings"

	"flexi/core/device/choose"
	"flexi/core/model"
	"flexi/core/model/train"
	"flexi/core/run"
	"flexi/core/text"
	"flexi/core/text/demo"
)

// adamBeta1 is the decay of AdamW's first moment in every recipe.
const adamBeta1 = 0.9

// optimizer is the recipe without a length.
func (o OptimizerConfig) optimizer() train.Optimizer {
	return train.Optimizer{LR: o.LR, Beta1: adamBeta1, Beta2: o.Beta2, Epsilon: o.Epsilon, Decay: o.Decay, Clip: o.Clip}
}

func (c Config) scoreRule() text.ScoreRule {
	if c.PaperMean {
		return text.ScorePaper
	}
	return text.ScoreGLUE
}

// Budget is how many trials the run wants to finish.
func (c Config) Budget() int {
	if len(c.Architectures) > 0 {
		return len(c.Architectures) * c.Repeats
	}
	return c.Candidates + c.confirmations()
}

// confirmations is how many trials of the budget retrain the best: each from scratch and, where the search transfers weights, once more with them.
func (c Config) confirmations() int {
	n := c.Confirm.Best * c.Confirm.Repeats
	if c.Transfer.Mode != model.TransferOff {
		n *= 2
	}
	return n
}

// candidates is how many of a run's trials belong to the search. A run of an earlier version that was resumed with more has them in its budget only.
func (c Config) candidates(budget int) int {
	if c.Confirm.Best > 0 {
		return c.Candidates
	}
	return max(c.Candidates, budget)
}

// Objective is what a search improves: the mean of its tasks' scores, in percent.
func Objective() run.Objective { return run.Objective{Name: "GLUE", Maximize: true} }

// Complete checks everything that can be checked without reading data, and writes out what the run must remember: the text of its design space, the
// demo's tasks, the precision that the device computes in, and the dictionaries of given architectures.
func (c Config) Complete(on choose.Choice) (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	var err error
	if c.SpaceText, err = ReadSpace(c.Space); err != nil {
		return c, err
	}
	if c.Precision, err = on.Resolve(c.Precision); err != nil {
		return c, err
	}
	space, err := ParseSpace(c.Space, c.SpaceText)
	if err != nil {
		return c, err
	}
	if levels := len(space.Levels()); len(c.Levels) > levels {
		c.Levels = c.Levels[:levels]
	}
	if _, ok := policies[c.Policy]; !ok {
		return c, fmt.Errorf("policy: %q, must be one of %s", c.Policy, strings.Join(PolicyNames(), ", "))
	}
	if c.Data.Dir == "" {
		c.Data.Tasks, c.Data.Corpora, c.Data.Tokenizer = demo.TaskNames(), nil, ""
	} else if err := c.Data.validate(); err != nil {
		return c, err
	}
	if err := c.validateRungs(); err != nil {
		return c, err
	}
	for i, name := range c.Architectures {
		a, err := ParseArch(name)
		if err != nil {
			return c, err
		}
		dictionary, err := a.MarshalJSON()
		if err != nil {
			return c, err
		}
		c.Architectures[i] = string(dictionary)
	}
	return c, nil
}

// validate checks names only; files are read when the run starts.
func (d DataConfig) validate() error {
	if len(d.Tasks) == 0 {
		return fmt.Errorf("data.tasks: name at least one of %s", strings.Join(text.TaskNames(), ", "))
	}
	for _, t := range d.Tasks {
		if !containsFold(text.TaskNames(), t) {
			return fmt.Errorf("data.tasks: there is no task %q; tasks are %s", t, strings.Join(text.TaskNames(), ", "))
		}
	}
	if len(d.Corpora) == 0 {
		return fmt.Errorf("data.corpora: name the pre-training text, for instance lm/wikipedia")
	}
	if d.Tokenizer == "" {
		return fmt.Errorf("data.tokenizer: name a tokenizer, for instance tokenizers/bert-base-uncased")
	}
	return nil
}

func containsFold(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
