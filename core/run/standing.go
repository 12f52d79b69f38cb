package run

import (
	"slices"
	"sort"
)

// standing is what the finished trials of a run add up to. It grows with each result: slices handed out before keep what they held.
type standing struct {
	done, failed int
	best         *Trial
	bestSoFar    []float64
	frontier     []*Trial // by ascending parameters, and so by ascending worth
}

// standingOf adds up trials in the order in which they ended.
func standingOf(trials []*Trial, o Objective) standing {
	var s standing
	ended := slices.Clone(trials)
	slices.SortStableFunc(ended, func(x, y *Trial) int { return x.Ended.Compare(y.Ended) })
	for _, t := range ended {
		s.count(nil, t, o)
	}
	return s
}

func (t *Trial) scored() bool { return t != nil && t.State == Done && t.Score != nil }

// Found reports whether the trial has a score that counts in the search. The scores of retrainings say how good that one was.
func (t *Trial) Found() bool { return t.Arm == ArmSearch && t.scored() }

// count takes in a trial that was old (nil: new) before.
func (s *standing) count(old, t *Trial, o Objective) {
	if old != nil && old.State == Failed {
		s.failed--
	}
	if t.State == Failed {
		s.failed++
	}
	if !t.scored() || old.scored() {
		return
	}
	s.done++
	if !t.Found() {
		return
	}
	if s.best == nil || o.Better(*t.Score, *s.best.Score) {
		s.best = t
	}
	s.bestSoFar = append(s.bestSoFar, *s.best.Score)
	s.frontier = extendFrontier(s.frontier, t, o)
}

// extendFrontier adds t unless another trial is as good with as few parameters, and drops those that t makes superfluous. Of equals the
// first to finish stays.
func extendFrontier(frontier []*Trial, t *Trial, o Objective) []*Trial {
	// Those before i have at most as many parameters as t; the last of them has the best score.
	i := sort.Search(len(frontier), func(i int) bool { return frontier[i].Params > t.Params })
	if i > 0 && !o.Better(*t.Score, *frontier[i-1].Score) {
		return frontier
	}
	low, high := i, i
	for low > 0 && frontier[low-1].Params == t.Params {
		low--
	}
	for high < len(frontier) && !o.Better(*frontier[high].Score, *t.Score) {
		high++
	}
	return slices.Concat(frontier[:low], []*Trial{t}, frontier[high:])
}

func (s *standing) bestID() int {
	if s.best == nil {
		return -1
	}
	return s.best.ID
}

func (s *standing) frontierIDs() []int {
	ids := make([]int, len(s.frontier))
	for i, t := range s.frontier {
		ids[i] = t.ID
	}
	return ids
}
