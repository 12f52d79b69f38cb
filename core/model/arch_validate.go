package model

import (
	"fmt"
	"slices"
	"strconv"
)

// Validate reports the first violation of the constraints of the design space, with layer, value and what is allowed. Layers count from 1.
func (a Arch) Validate() error {
	if len(a.Layers) == 0 {
		return fmt.Errorf("architecture: it has no layers; at least 1 is needed")
	}
	hetero := a.Hetero()
	for j, l := range a.Layers {
		if err := l.validate(); err != nil {
			return fmt.Errorf("architecture: layer %d: %w", j+1, err)
		}
		if (l.Mixed != nil) != hetero {
			return fmt.Errorf("architecture: layer %d: standard and hetero layers cannot be in one model", j+1)
		}
	}
	return nil
}

// Hetero reports whether the layers list their heads one by one.
func (a Arch) Hetero() bool { return len(a.Layers) > 0 && a.Layers[0].Mixed != nil }

func (l Layer) validate() error {
	if l.Hidden < 1 {
		return fmt.Errorf("hidden size %d: it must be at least 1", l.Hidden)
	}
	if len(l.FF) == 0 {
		return fmt.Errorf("it has no feed-forward width; at least one is needed")
	}
	for k, f := range l.FF {
		if f < 1 {
			return fmt.Errorf("feed-forward width %d of layer %d in the stack: it must be at least 1", f, k+1)
		}
	}
	if l.Mixed != nil {
		return l.validateMixed()
	}
	return l.validateStandard()
}

func (l Layer) validateStandard() error {
	if l.Heads < 1 || l.Hidden%l.Heads != 0 {
		return fmt.Errorf("%d heads: the hidden size %d must be a multiple of the number of heads", l.Heads, l.Hidden)
	}
	if l.Op == SpanConvolution && l.Heads%2 != 0 {
		return fmt.Errorf("%d heads: half of the heads of a %q layer attend and half convolve, so their number must be even", l.Heads, l.Op)
	}
	return validateOperation(l.Op, l.Param)
}

func (l Layer) validateMixed() error {
	if len(l.Mixed) == 0 {
		return fmt.Errorf("it has no heads; at least 1 is needed")
	}
	for i, h := range l.Mixed {
		if err := validateOperation(h.Op, h.Param); err != nil {
			return fmt.Errorf("head %d: %w", i+1, err)
		}
		if h.Size < 1 || h.Size != l.Mixed[0].Size {
			return fmt.Errorf("head %d: size %d: all heads of a layer must have the same size, at least 1; the first has %d", i+1, h.Size, l.Mixed[0].Size)
		}
	}
	return nil
}

// validateOperation checks an operation and its parameter.
func validateOperation(o Op, param string) error {
	var allowed []string
	switch o {
	case SelfAttention:
		allowed = []string{ScaledDot, Weighted}
	case LinearTransform:
		allowed = []string{DFT, DCT}
	case SpanConvolution:
		if k, err := strconv.Atoi(param); err != nil || k < 1 || k%2 == 0 || strconv.Itoa(k) != param {
			return fmt.Errorf("kernel size %q of operation %q: it must be an odd number such as 5 or 9", param, o)
		}
		return nil
	default:
		return fmt.Errorf("operation %q: must be one of %q", o, []Op{SelfAttention, LinearTransform, SpanConvolution})
	}
	if !slices.Contains(allowed, param) {
		return fmt.Errorf("parameter %q of operation %q: must be one of %q", param, o, allowed)
	}
	return nil
}

// kernelSize is the number of taps of a span convolution; the parameter is valid.
func kernelSize(param string) int {
	k, _ := strconv.Atoi(param)
	return k
}
