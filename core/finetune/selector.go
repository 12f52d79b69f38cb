package finetune

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"flexi/core/device"
)

// Names of selectors.
const (
	SelectFlexora  = "flexora"          // layer search by bilevel optimisation (Wei et al. 2024)
	SelectAll      = "all"              // ordinary LoRA
	SelectRandom   = "random"           // drawn by seed
	SelectFirst    = "first_k"          // nearest to the input
	SelectLast     = "last_k"           // nearest to the output
	SelectGradient = "gradient_norm"    // largest gradient of the adapters where they start
	SelectOutput   = "lora_output_norm" // largest output of trained adapters (LoRA-drop, Zhou et al. 2024)
	SelectAdaLoRA  = "adalora"          // all layers, ranks pruned by sensitivity (Zhang et al. 2023)
	SelectFull     = "full"             // no adapters: all weights are trained
)

// selector is how layers are chosen.
type selector struct {
	counted bool // takes a number of layers
	probe   bool // must see the data first
}

var selectors = map[string]selector{
	SelectFlexora:  {probe: true},
	SelectAll:      {},
	SelectRandom:   {counted: true},
	SelectFirst:    {counted: true},
	SelectLast:     {counted: true},
	SelectGradient: {counted: true, probe: true},
	SelectOutput:   {counted: true, probe: true},
	SelectAdaLoRA:  {counted: true}, // whose budget is that of so many whole layers
	SelectFull:     {},
}

// SelectorNames are the selectors by name.
func SelectorNames() []string { return slices.Sorted(maps.Keys(selectors)) }

// fixedLayers are the layers of a selector that looks at no data: count of n where it takes a number. The seed draws random ones.
func fixedLayers(name string, n, count int, seed uint64) ([]int, error) {
	if selectors[name].counted && (count < 1 || count > n) {
		return nil, fmt.Errorf("selector %s: %d of %d layers; choose from 1 to %d", name, count, n, n)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	switch name {
	case SelectAll, SelectAdaLoRA:
		return all, nil
	case SelectFirst:
		return all[:count], nil
	case SelectLast:
		return all[n-count:], nil
	case SelectRandom:
		r := rand.New(rand.NewPCG(device.StreamSeed(seed, 0, selectionStream), 0))
		return slices.Sorted(slices.Values(r.Perm(n)[:count])), nil
	}
	return nil, fmt.Errorf("selector %s chooses by data", name)
}

// largest are the count layers of the largest scores, ascending; of equal ones the lower comes first.
func largest(scores []float64, count int) ([]int, error) {
	n := len(scores)
	if count < 1 || count > n {
		return nil, fmt.Errorf("%d of %d layers; choose from 1 to %d", count, n, n)
	}
	order := make([]int, n)
	for i := range order {
		if !finite(scores[i]) {
			return nil, fmt.Errorf("the score of layer %d is %v", i, scores[i])
		}
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[j], scores[i]) })
	return slices.Sorted(slices.Values(order[:count])), nil
}
