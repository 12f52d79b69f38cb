package model

import "fmt"

// Config is what a model needs beside its architecture.
type Config struct {
	Vocab  int
	MaxPos int // P: positions the relative tables cover
	Types  int // segment types
	// Dropout is the probability of every dropout of section 2.1 of the design notes.
	Dropout float64
	// Ortho makes the linear transforms orthonormal. The paper's are not; LayerNorm takes the factor out again, except from the sum with the
	// position branch.
	Ortho bool
}

// DefaultConfig is the paper's: 512 positions, two segment types, dropout 0.1, transforms without normalisation.
func DefaultConfig(vocab int) Config {
	return Config{Vocab: vocab, MaxPos: 512, Types: 2, Dropout: 0.1}
}

func (c Config) validate() error {
	switch {
	case c.Vocab < 1:
		return fmt.Errorf("vocabulary of %d tokens: at least 1 is needed", c.Vocab)
	case c.MaxPos < 1:
		return fmt.Errorf("%d positions: at least 1 is needed", c.MaxPos)
	case c.Types < 1:
		return fmt.Errorf("%d segment types: at least 1 is needed", c.Types)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("dropout %v: it must be at least 0 and below 1", c.Dropout)
	}
	return nil
}

// ObjectiveKind is what a model predicts.
type ObjectiveKind uint8

// Objectives.
const (
	MaskedLM ObjectiveKind = iota // the tokens at picked positions, cross-entropy
	Classify                      // one of Labels classes from the first token, cross-entropy
	Regress                       // a number from the first token, squared error
	CausalLM                      // the tokens after picked positions, cross-entropy; of decoders
)

func (k ObjectiveKind) String() string {
	switch k {
	case MaskedLM:
		return "masked language modelling"
	case Classify:
		return "classification"
	case Regress:
		return "regression"
	case CausalLM:
		return "causal language modelling"
	default:
		return fmt.Sprintf("objective %d", uint8(k))
	}
}

// Objective is the head of a model. Labels is used by Classify only.
type Objective struct {
	Kind   ObjectiveKind
	Labels int
}

func (o Objective) validate() error {
	if o.Kind > CausalLM {
		return fmt.Errorf("%s is not known", o.Kind)
	}
	if o.Kind == Classify && o.Labels < 2 {
		return fmt.Errorf("classification into %d labels: at least 2 are needed", o.Labels)
	}
	return nil
}

// picks reports whether the head sees picked positions, and predicts tokens, instead of one row per example.
func (o Objective) picks() bool { return o.Kind == MaskedLM || o.Kind == CausalLM }

// outputs is the width of the head's output.
func (o Objective) outputs(vocab int) int {
	switch o.Kind {
	case MaskedLM, CausalLM:
		return vocab
	case Classify:
		return o.Labels
	default:
		return 1
	}
}
