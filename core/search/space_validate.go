package search

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"flexi/core/model"
)

// Limits of a design space: far above any use, low enough that counts of choices fit an int and no typing mistake asks for a terabyte.
const (
	maxValues = 16 // values per list
	maxLayers = 128
	maxDepth  = 8
	maxStacks = 100_000 // feed-forward stacks of free widths
	maxSize   = 1 << 16
)

// validate reports every impossible value, each with its place in the text.
func (s *Space) validate(l locator) error {
	var errs []error
	report := func(path, format string, args ...any) { errs = append(errs, l.errorf(path, format, args...)) }
	if s.Name == "" {
		report("$.name", "missing; give the space a name")
	}
	checkValues("$.layers", s.Layers, maxLayers, true, report)
	checkValues("$.hidden", s.Hidden, maxSize, true, report)
	checkValues("$.heads", s.Heads, maxSize, true, report)
	checkValues("$.feed_forward.depths", s.FeedForward.Depths, maxDepth, true, report)
	checkValues("$.feed_forward.widths", s.FeedForward.Widths, maxSize, true, report)
	checkValues("$.operations.span_convolution", s.Operations.SpanConvolution, maxSize, false, report)
	checkParams("$.operations.self_attention", s.Operations.SelfAttention, []string{model.ScaledDot, model.Weighted}, report)
	checkParams("$.operations.linear_transform", s.Operations.LinearTransform, []string{model.DFT, model.DCT}, report)
	s.checkTogether(report)
	return errors.Join(errs...)
}

type reporter func(path, format string, args ...any)

// checkTogether checks what depends on more than one value.
func (s *Space) checkTogether(report reporter) {
	if len(s.operations()) == 0 {
		report("$.operations", "no operation; give at least one parameter of self_attention, linear_transform or span_convolution")
	}
	for i, k := range s.Operations.SpanConvolution {
		if k%2 == 0 {
			report(fmt.Sprintf("$.operations.span_convolution[%d]", i), "kernel size %d is even; a kernel is centred on its token, so its size is odd", k)
		}
	}
	for i, n := range s.Heads {
		path := fmt.Sprintf("$.heads[%d]", i)
		if n == 1 && len(s.Operations.SpanConvolution) > 0 {
			report(path, "1 head: half of the heads of a span convolution are attention heads, so it needs at least 2")
		}
		for _, h := range s.Hidden {
			if n > 0 && h%n != 0 {
				report(path, "hidden size %d is not divisible by %d heads", h, n)
			}
		}
	}
	if n := s.FeedForward.freeStacks(); n > maxStacks {
		report("$.feed_forward", "%.0f feed-forward stacks with free widths, at most %d; take fewer depths or widths", n, maxStacks)
	}
	if s.Stack < 1 {
		report("$.stack", "%d, must be at least 1: the number of consecutive layers that are equal at level 1", s.Stack)
		return
	}
	for i, n := range s.Layers {
		if n%s.Stack != 0 {
			report(fmt.Sprintf("$.layers[%d]", i), "%d layers are not a multiple of stack %d", n, s.Stack)
		}
	}
}

func checkValues(path string, values []int, limit int, required bool, report reporter) {
	if required && len(values) == 0 {
		report(path, "missing; give at least one number")
	}
	if len(values) > maxValues {
		report(path, "%d values, at most %d", len(values), maxValues)
	}
	for i, v := range values {
		switch at := fmt.Sprintf("%s[%d]", path, i); {
		case v < 1 || v > limit:
			report(at, "%d, must be 1 to %d", v, limit)
		case slices.Contains(values[:i], v):
			report(at, "%d is there twice", v)
		}
	}
}

func checkParams(path string, values, allowed []string, report reporter) {
	for i, v := range values {
		switch at := fmt.Sprintf("%s[%d]", path, i); {
		case !slices.Contains(allowed, v):
			report(at, "unknown parameter %q; allowed are %v", v, allowed)
		case slices.Contains(values[:i], v):
			report(at, "%q is there twice", v)
		}
	}
}

// sort puts all values in the order in which architectures are enumerated and labels priced.
func (s *Space) sort() {
	for _, v := range [][]int{s.Layers, s.Hidden, s.Heads, s.Operations.SpanConvolution, s.FeedForward.Depths, s.FeedForward.Widths} {
		slices.Sort(v)
	}
	weight := []string{model.DFT, model.DCT, model.ScaledDot, model.Weighted}
	byWeight := func(a, b string) int { return cmp.Compare(slices.Index(weight, a), slices.Index(weight, b)) }
	slices.SortFunc(s.Operations.SelfAttention, byWeight)
	slices.SortFunc(s.Operations.LinearTransform, byWeight)
}

// freeStacks is the number of feed-forward stacks with free widths.
func (f FeedForward) freeStacks() float64 {
	var n float64
	for _, d := range f.Depths {
		n += math.Pow(float64(len(f.Widths)), float64(d))
	}
	return n
}
