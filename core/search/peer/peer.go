// Package peer holds the search policies that BOSHNAS is measured against, with the defaults that their authors publish: local search, Optuna's
// TPE, a Gaussian process with a Hamming kernel, a random forest as in SMAC, and BANANAS. They know architectures by their choices, start from the
// same number of random ones, propose each architecture at most once, and depend on nothing but the seed and the results so far.
//
// Where a method samples candidates because it cannot look at all of a space (forest, gp), every architecture of the library is a candidate.
// Architectures that a library lacks are never proposed.
package peer

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"flexi/core/search"
)

// initial is the number of random architectures that every peer starts with.
const initial = 10

var rules = map[string]func(*search.Library, uint64) search.Rule{
	"local":   newLocal,
	"tpe":     newTPE,
	"gp":      newGP,
	"forest":  newForest,
	"bananas": newBananas,
}

// Names lists the peers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(rules)) }

// New makes a peer for a library; an unknown name, or a library that describes no choices, is an error.
func New(name string, lib *search.Library, seed uint64) (search.Policy, error) {
	rule, ok := rules[name]
	if !ok {
		return nil, fmt.Errorf("there is no peer %q; peers are %s", name, strings.Join(Names(), ", "))
	}
	if err := check(lib); err != nil {
		return nil, fmt.Errorf("make policy %s: %w", name, err)
	}
	return search.NewRulePolicy(name, lib, seed, initial, rule(lib, seed))
}

func check(lib *search.Library) error {
	if lib == nil || len(lib.Features) == 0 || len(lib.Codes) != lib.Len() {
		return errors.New("the library does not say what its architectures choose; peers need a code per choice")
	}
	for i, codes := range lib.Codes {
		if len(codes) != len(lib.Features) {
			return fmt.Errorf("architecture %d has %d codes for %d choices", i, len(codes), len(lib.Features))
		}
		for f, c := range codes {
			if c < 0 || c > lib.Features[f].Values {
				return fmt.Errorf("architecture %d, choice %s: code %d is outside 0 to %d", i, lib.Features[f].Name, c, lib.Features[f].Values)
			}
		}
	}
	return nil
}

// fitStream is the generator of a surrogate fitted to n results; no proposal draws from it.
func fitStream(seed uint64, n int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(n))) }
