package search

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"flexi/core/model"
)

// family is a set of interpolants of one pair: the product of the local spaces of its stacks, followed by a fixed tail.
type family struct {
	stacks []layerSet // one per new stack
	repeat int        // layers per new stack
	tail   []model.Layer
}

// between lists the families of two parents. Each old stack of the shorter one has a local space, the union of both parents' values in that stack, from
// which every new stack inside it is drawn. If the parents differ in length there is a second family that ends with the longer one's own layers.
func between(a, b model.Arch, from, to Level) []family {
	if len(a.Layers) > len(b.Layers) {
		a, b = b, a
	}
	short := family{repeat: to.Stack}
	for start := 0; start < len(a.Layers); start += from.Stack {
		end := start + from.Stack
		local := localSpace(slices.Concat(a.Layers[start:end], b.Layers[start:end]), to.FreeWidths)
		for range from.Stack / to.Stack {
			short.stacks = append(short.stacks, local)
		}
	}
	if len(a.Layers) == len(b.Layers) {
		return []family{short}
	}
	long := short
	long.tail = b.Layers[len(a.Layers):]
	return []family{short, long}
}

// localSpace is the product of the values that occur in some layers. Parameters stay with the operation they were seen with.
func localSpace(layers []model.Layer, freeWidths bool) layerSet {
	var s layerSet
	var ff FeedForward
	for _, l := range layers {
		s.operations = appendNew(s.operations, opKind{l.Op, l.Param})
		s.heads = appendNew(s.heads, l.Heads)
		s.hidden = appendNew(s.hidden, l.Hidden)
		ff.Depths = appendNew(ff.Depths, len(l.FF))
		for _, w := range l.FF {
			ff.Widths = appendNew(ff.Widths, w)
		}
	}
	// The order of parents must not matter.
	slices.SortFunc(s.operations, func(a, b opKind) int { return cmp.Compare(a.String(), b.String()) })
	for _, v := range [][]int{s.heads, s.hidden, ff.Depths, ff.Widths} {
		slices.Sort(v)
	}
	s.ff = ff.stacks(freeWidths)
	return s
}

func appendNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// size is the number of interpolants; a float64, because it overflows an integer in wide spaces.
func (f family) size() float64 {
	size := 1.0
	for _, s := range f.stacks {
		size *= float64(s.len())
	}
	return size
}

func (f family) arch(digits []int) model.Arch {
	var a model.Arch
	for i, d := range digits {
		l := f.stacks[i].layer(d)
		for range f.repeat {
			a.Layers = append(a.Layers, l)
		}
	}
	a.Layers = append(a.Layers, f.tail...)
	return a
}

// list returns all interpolants, or quota different ones at random if there are more.
func (f family) list(quota int, rng *rand.Rand) []model.Arch {
	digits := make([]int, len(f.stacks))
	var out []model.Arch
	if f.size() <= float64(quota) {
		for more := true; more; more = f.next(digits) {
			out = append(out, f.arch(digits))
		}
		return out
	}
	if f.size() <= 2*float64(quota) {
		// Too many repeats would be drawn: list all and pick.
		all := f.list(2*quota, rng)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return all[:quota]
	}
	seen := map[string]bool{}
	for len(out) < quota {
		for i := range digits {
			digits[i] = rng.IntN(f.stacks[i].len())
		}
		if key := fmt.Sprint(digits); !seen[key] {
			seen[key] = true
			out = append(out, f.arch(digits))
		}
	}
	return out
}

// next counts up, the last stack fastest; false when it wraps to zero.
func (f family) next(digits []int) bool {
	for i := len(digits) - 1; i >= 0; i-- {
		if digits[i]++; digits[i] < f.stacks[i].len() {
			return true
		}
		digits[i] = 0
	}
	return false
}

// quotas shares out a limit: small families keep all their interpolants, the others get equal shares of what is left.
func quotas(families []family, limit int) []int {
	order := indices(len(families))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(families[a].size(), families[b].size()) })
	out := make([]int, len(families))
	for done, i := range order {
		share := limit / (len(order) - done)
		out[i] = int(min(families[i].size(), float64(share)))
		limit -= out[i]
	}
	return out
}
