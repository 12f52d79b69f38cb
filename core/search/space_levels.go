package search

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"

	"flexi/core/model"
)

// Level is how finely a space is divided (design notes 1.3).
type Level struct {
	Stack       int  // consecutive layers that are equal
	FreeWidths  bool // feed-forward widths inside a layer may differ
	Homogeneous bool // all layers are equal
}

// Levels are the levels of the hierarchical search: stacks with equal widths, single layers with equal widths, single layers with free widths.
// A level that would not be finer than the one before it is left out.
func (s *Space) Levels() []Level {
	levels := []Level{{Stack: s.Stack}}
	if s.Stack > 1 {
		levels = append(levels, Level{Stack: 1})
	}
	if deepest := s.FeedForward.Depths[len(s.FeedForward.Depths)-1]; deepest > 1 && len(s.FeedForward.Widths) > 1 {
		levels = append(levels, Level{Stack: 1, FreeWidths: true})
	}
	return levels
}

// Size is the number of architectures at a level: the sum over the numbers of layers l of choices^(l/stack), or of choices if homogeneous.
func (s *Space) Size(level Level) *big.Int {
	total, choices := new(big.Int), big.NewInt(int64(s.layerSet(level.FreeWidths).len()))
	for _, l := range s.Layers {
		total.Add(total, new(big.Int).Exp(choices, big.NewInt(int64(level.stacks(l))), nil))
	}
	return total
}

// stacks is how many independent choices an architecture of l layers has.
func (l Level) stacks(layers int) int {
	if l.Homogeneous {
		return 1
	}
	return layers / l.Stack
}

func (s *Space) checkLevel(level Level) error {
	for _, l := range s.Layers {
		if level.Stack < 1 || l%level.Stack != 0 {
			return fmt.Errorf("stacks of %d layers: space %s has architectures of %d layers", level.Stack, s.Name, l)
		}
	}
	return nil
}

// Enumerate lists all architectures of a level, fewest layers first, the last stack varying fastest. It refuses more than limit.
// Architectures share their slices; treat them as read-only.
func (s *Space) Enumerate(level Level, limit int) ([]model.Arch, error) {
	if err := s.checkLevel(level); err != nil {
		return nil, fmt.Errorf("enumerate design space: %w", err)
	}
	if size := s.Size(level); size.Cmp(big.NewInt(int64(limit))) > 0 {
		return nil, fmt.Errorf("enumerate design space: %s has %v architectures at this level, more than %d; raise the limit, narrow the space, or sample it", s.Name, size, limit)
	}
	set := s.layerSet(level.FreeWidths)
	var out []model.Arch
	for _, l := range s.Layers {
		for digits := make([]int, level.stacks(l)); ; {
			out = append(out, assemble(l, digits, set))
			if !increment(digits, set.len()) {
				break
			}
		}
	}
	return out, nil
}

// assemble builds l layers out of one choice per stack.
func assemble(l int, digits []int, set layerSet) model.Arch {
	a := model.Arch{Layers: make([]model.Layer, l)}
	for j := range a.Layers {
		a.Layers[j] = set.layer(digits[j*len(digits)/l])
	}
	return a
}

// Sample draws n different architectures of a level uniformly, all of them if there are no more than n.
func (s *Space) Sample(level Level, n int, rng *rand.Rand) ([]model.Arch, error) {
	size := s.Size(level)
	if size.Cmp(big.NewInt(2*int64(n))) <= 0 {
		all, err := s.Enumerate(level, 2*n)
		if err != nil {
			return nil, err
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:min(n, len(all))], nil
	}
	if err := s.checkLevel(level); err != nil {
		return nil, fmt.Errorf("sample design space: %w", err)
	}
	// At most half of the space is taken, so repeats are rare enough to be drawn again.
	set := s.layerSet(level.FreeWidths)
	seen := map[string]bool{}
	out := make([]model.Arch, 0, n)
	for len(out) < n {
		l := s.drawLayers(level, set.len(), rng)
		digits := make([]int, level.stacks(l))
		for i := range digits {
			digits[i] = rng.IntN(set.len())
		}
		if key := fmt.Sprint(l, digits); !seen[key] {
			seen[key] = true
			out = append(out, assemble(l, digits, set))
		}
	}
	return out, nil
}

// drawLayers draws a number of layers in proportion to how many architectures have it.
func (s *Space) drawLayers(level Level, choices int, rng *rand.Rand) int {
	deepest := s.Layers[len(s.Layers)-1]
	weight := func(l int) float64 { // relative to the deepest, which cannot overflow
		return math.Pow(float64(choices), float64(level.stacks(l)-level.stacks(deepest)))
	}
	var total float64
	for _, l := range s.Layers {
		total += weight(l)
	}
	u := rng.Float64() * total
	for _, l := range s.Layers {
		if u -= weight(l); u < 0 {
			return l
		}
	}
	return deepest
}
