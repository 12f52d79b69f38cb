package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"flexi/core/search"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// product is a library of all combinations of choices with the given numbers of values; those of odd position are ordinal.
func product(values ...int) *search.Library {
	lib := &search.Library{Index: map[string]int{}}
	total := 1
	for f, n := range values {
		total *= n
		lib.Features = append(lib.Features, search.Feature{Name: "choice " + strconv.Itoa(f), Values: n, Ordinal: f%2 == 1, Group: f})
	}
	for i := range total {
		rest, codes, x := i, make([]int, len(values)), make([]float64, len(values))
		for f, n := range values {
			codes[f], x[f] = rest%n, float64(rest%n)
			rest /= n
		}
		id := strconv.Itoa(i)
		lib.Index[id] = i
		lib.Hashes, lib.Codes, lib.Embeddings = append(lib.Hashes, id), append(lib.Codes, codes), append(lib.Embeddings, x)
	}
	return lib
}

// bowl is a score that is largest, 0, at the middle of all choices.
func bowl(lib *search.Library, i int) (score float64) {
	for f, c := range lib.Codes[i] {
		d := float64(c - lib.Features[f].Values/2)
		score -= d * d
	}
	return score
}

// replay lets a policy propose until it ends, at most n times.
func replay(t *testing.T, p search.Policy, n int, score func(i int) float64) (picks []int) {
	t.Helper()
	var outcomes []search.Outcome
	for range n {
		pick, err := p.Next(context.Background(), outcomes)
		if errors.Is(err, search.ErrConverged) {
			return picks
		}
		require.NoError(t, err)
		s := score(pick.Index)
		picks = append(picks, pick.Index)
		outcomes = append(outcomes, search.Outcome{Index: pick.Index, Score: &s})
	}
	return picks
}

func TestPeers(t *testing.T) {
	ordinal, absent := product(40), product(4, 6)
	ordinal.Features[0].Ordinal = true
	absent.Features[1].Values = 5 // its code 5 is absence
	for libName, lib := range map[string]*search.Library{
		"one row": product(1), "one column": product(40), "one ordinal column": ordinal,
		"product": product(4, 5, 3), "optional": absent, "one value each": product(1, 1),
	} {
		for _, name := range Names() {
			t.Run(libName+"/"+name, func(t *testing.T) {
				make := func() search.Policy {
					p, err := New(name, lib, 7)
					require.NoError(t, err)
					require.Equal(t, name, p.Name())
					return p
				}
				score := func(i int) float64 { return bowl(lib, i) }
				picks := replay(t, make(), lib.Len()+1, score)
				require.Len(t, picks, lib.Len(), "every architecture is proposed")
				seen := map[int]bool{}
				for _, i := range picks {
					require.False(t, seen[i], "architecture %d twice", i)
					seen[i] = true
				}
				require.Equal(t, picks, replay(t, make(), lib.Len()+1, score), "the seed decides")
				require.Len(t, replay(t, make(), lib.Len(), func(int) float64 { return 3 }), lib.Len(), "equal scores")
			})
		}
	}
}

// TestPeersBeatChance holds each peer to finding the best of 900 architectures in 60 queries, which chance alone does in 1 search of 15.
func TestPeersBeatChance(t *testing.T) {
	lib := product(5, 6, 5, 6)
	for _, name := range Names() {
		hits := 0
		for seed := range uint64(4) {
			p, err := New(name, lib, seed)
			require.NoError(t, err)
			for _, i := range replay(t, p, 60, func(i int) float64 { return bowl(lib, i) }) {
				if bowl(lib, i) == 0 {
					hits++
				}
			}
		}
		require.GreaterOrEqual(t, hits, 3, "%s", name)
	}
}

// TestPeersDoNotNeedTheirPast: a policy that is made anew for every proposal proposes the same.
func TestPeersDoNotNeedTheirPast(t *testing.T) {
	lib := product(4, 5, 3)
	for _, name := range Names() {
		p, err := New(name, lib, 3)
		require.NoError(t, err)
		picks := replay(t, p, 35, func(i int) float64 { return bowl(lib, i) })
		var outcomes []search.Outcome
		for n, i := range picks {
			if n >= 8 {
				again, err := New(name, lib, 3)
				require.NoError(t, err)
				pick, err := again.Next(context.Background(), outcomes)
				require.NoError(t, err)
				require.Equal(t, i, pick.Index, "%s, proposal %d", name, n)
			}
			s := bowl(lib, i)
			outcomes = append(outcomes, search.Outcome{Index: i, Score: &s})
		}
	}
}

// TestPeersWithFailures: failed and pending architectures are not proposed again.
func TestPeersWithFailures(t *testing.T) {
	lib := product(4, 5, 3)
	for _, name := range Names() {
		p, err := New(name, lib, 3)
		require.NoError(t, err)
		var outcomes []search.Outcome
		seen := map[int]bool{}
		rng := rand.New(rand.NewPCG(1, 1))
		for range lib.Len() {
			pick, err := p.Next(context.Background(), outcomes)
			require.NoError(t, err)
			require.False(t, seen[pick.Index], "%s", name)
			seen[pick.Index] = true
			o := search.Outcome{Index: pick.Index}
			if s := bowl(lib, pick.Index); rng.IntN(3) > 0 {
				o.Score = &s
			} else {
				o.Pending = rng.IntN(2) == 0
			}
			outcomes = append(outcomes, o)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	lib := product(2, 3)
	_, err := New("oracle", lib, 1)
	require.ErrorContains(t, err, "bananas, forest, gp, local, tpe")
	for want, change := range map[string]func(l *search.Library){
		"code per choice": func(l *search.Library) { l.Features = nil },
		"has 1 codes":     func(l *search.Library) { l.Codes[2] = []int{0} },
		"outside 0 to 3":  func(l *search.Library) { l.Codes[2] = []int{0, 4} },
		"embeddings":      func(l *search.Library) { l.Embeddings = nil },
	} {
		bad := product(2, 3)
		change(bad)
		_, err := New("tpe", bad, 1)
		require.ErrorContains(t, err, want)
	}
	_, err = New("tpe", nil, 1)
	require.Error(t, err)
}
