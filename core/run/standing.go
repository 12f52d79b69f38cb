package run

import "slices"

// standing is what the finished trials of a run add up to. It grows with each result: slices handed out before keep what they held.
type standing struct {
	done, failed int
	stopped      int // before their end
	best         *Trial
	bestSoFar    []float64
	frontier     []*Trial // see goals.extend
}

// standingOf adds up trials in the order in which they ended.
func standingOf(trials []*Trial, g goals) standing {
	var s standing
	ended := slices.Clone(trials)
	slices.SortStableFunc(ended, func(x, y *Trial) int { return x.Ended.Compare(y.Ended) })
	for _, t := range ended {
		s.count(nil, t, g)
	}
	return s
}

// compareAnew brings criteria and standing up to date with the run's configuration.
func (c *Controller) compareAnew(a *active) {
	a.Criteria = c.criteria(a.Kind, a.Config)
	a.standing = standingOf(a.trials, a.goals())
}

func (t *Trial) scored() bool { return t != nil && t.State == Done && t.Score != nil }

// Found reports whether the trial has a score that counts in the search. The scores of retrainings say how good that one was.
func (t *Trial) Found() bool { return t.Arm == ArmSearch && t.scored() }

// count takes in a trial that was old (nil: new) before.
func (s *standing) count(old, t *Trial, g goals) {
	if old != nil && old.State == Failed {
		s.failed--
	}
	if t.State == Failed {
		s.failed++
	}
	if t.State == Stopped && (old == nil || old.State != Stopped) {
		s.stopped++
	}
	if !t.scored() || old.scored() {
		return
	}
	s.done++
	if !t.Found() || !g.feasible(t) {
		return
	}
	if s.best == nil || g.objective.Better(*t.Score, *s.best.Score) {
		s.best = t
	}
	s.bestSoFar = append(s.bestSoFar, *s.best.Score)
	s.frontier = g.extend(s.frontier, t)
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
