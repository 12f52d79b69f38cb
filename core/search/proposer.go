package search

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"flexi/core/model"
	"flexi/core/run"
)

// proposer decides what a job trains next.
type proposer interface {
	next(ctx context.Context, trials []run.Trial) (run.Trial, model.Arch, error)
	save() ([]byte, error)
	surrogate() *run.Surrogate
	neighbours(t run.Trial, trials []run.Trial) []run.Neighbour
	// chart places a trial, its neighbours and the other trials of its level on a map.
	chart(t run.Trial, trials []run.Trial, near []run.Neighbour) []run.Place
}

func (j *job) newProposer(ctx context.Context, data *Data, trials []run.Trial) (proposer, error) {
	if len(j.cfg.Architectures) > 0 {
		return newGiven(j.cfg)
	}
	s, err := j.newSearching(ctx, data, trials)
	if err != nil || j.cfg.Confirm.Best == 0 {
		return s, err
	}
	return &confirming{proposer: s, cfg: j.cfg.Confirm}, nil
}

// given trains a list of architectures in turn, the whole list Repeats times.
type given struct {
	archs   []model.Arch
	repeats int
}

func newGiven(c Config) (*given, error) {
	g := &given{repeats: c.Repeats}
	for _, text := range c.Architectures {
		a, err := ParseArch(text)
		if err != nil {
			return nil, err
		}
		g.archs = append(g.archs, a)
	}
	return g, nil
}

func (g *given) next(_ context.Context, trials []run.Trial) (run.Trial, model.Arch, error) {
	at := len(trials)
	if at >= len(g.archs)*g.repeats {
		return run.Trial{}, model.Arch{}, run.ErrDone
	}
	return run.Trial{Level: 1, Parent: -1, Why: fmt.Sprintf("given, repeat %d of %d", at/len(g.archs)+1, g.repeats)}, g.archs[at%len(g.archs)], nil
}

func (g *given) save() ([]byte, error)                             { return nil, nil }
func (g *given) surrogate() *run.Surrogate                         { return nil }
func (g *given) neighbours(run.Trial, []run.Trial) []run.Neighbour { return nil }

func (g *given) chart(run.Trial, []run.Trial, []run.Neighbour) []run.Place { return nil }

// searching asks a policy, level by level.
type searching struct {
	cfg    Config
	wishes *wishes
	h      *Hierarchy
	near   map[int]*Neighbours // by level
	maps   map[int]*plane      // by level
	view   *run.Surrogate
	note   string // how the present library was made, told with the next pick
}

func (j *job) newSearching(ctx context.Context, data *Data, trials []run.Trial) (*searching, error) {
	space, err := ParseSpace(j.cfg.Space, j.cfg.SpaceText)
	if err != nil {
		return nil, err
	}
	o := LibraryOptions{Vocab: data.Tokenizer.Size(), EdgeWeight: DefaultEdgeWeight, Seed: j.run.Seed, Paper: j.cfg.Policy == paperPolicy, Criteria: j.cfg.Criteria()}
	archs, total, err := space.LevelArchs(space.Levels()[0], LibraryLimit, j.run.Seed)
	if err != nil {
		return nil, err
	}
	s := &searching{cfg: j.cfg, wishes: &j.wishes, near: map[int]*Neighbours{}, maps: map[int]*plane{}}
	if total.Cmp(big.NewInt(int64(len(archs)))) > 0 {
		s.note = fmt.Sprintf("level 1: a uniform sample of %d of %d architectures", len(archs), total)
	}
	first, err := NewLibrary(ctx, space, archs, o)
	if err != nil {
		return nil, fmt.Errorf("embed the design space: %w", err)
	}
	if first.Len() == 0 {
		return nil, fmt.Errorf("no architecture of the design space is within constraints.params, %g; the bound counts encoder and pooler with the word embedding", j.cfg.Constraints[run.Params])
	}
	budgets := LevelBudgets(j.cfg.candidates(j.run.Budget), j.cfg.Levels)
	s.h, err = NewHierarchy(first, budgets, func(level int, lib *Library) (Policy, error) {
		return NewPolicy(j.cfg.Policy, lib, s.policyOptions(j.run.Seed+uint64(level), lib))
	}, space.NextLibrary(o, DefaultCrossover(), func(made string) { s.note = made }))
	if err != nil {
		return nil, err
	}
	if j.state == nil {
		return s, nil
	}
	err = s.h.Restore(ctx, j.state)
	s.note = "" // earlier picks told it
	return s, err
}

// paperPolicy is the original's policy.
const paperPolicy = "boshnas-paper"

func (s *searching) policyOptions(seed uint64, lib *Library) PolicyOptions {
	o := PolicyOptions{Seed: seed, Initial: s.cfg.Initial, Acquisition: s.cfg.Acquisition, Threshold: s.cfg.Transfer.Threshold, Patience: -1}
	if s.cfg.Policy == gpPolicy {
		o.Criteria = criteriaOf(s.cfg.Criteria(), lib)
	}
	if s.cfg.Policy == paperPolicy {
		o.Patience = 0
	}
	if s.cfg.Transfer.Mode != model.TransferOff {
		o.Overlap = func(query, source int) float64 { return s.cfg.overlap(lib.Archs[query], lib.Archs[source]) }
	}
	return o
}

// overlap is the measure that the threshold is compared with.
func (c Config) overlap(query, source model.Arch) float64 {
	if c.Policy == paperPolicy {
		return model.PaperOverlap(query, source)
	}
	return model.Overlap(query, source)
}

// outcomes translates trials to what policies know.
func (s *searching) outcomes(trials []run.Trial) ([]LevelOutcome, error) {
	out := make([]LevelOutcome, 0, len(trials))
	for _, t := range trials {
		if t.Arm != run.ArmSearch {
			continue
		}
		o := LevelOutcome{Level: t.Level, Outcome: Outcome{Index: -1}}
		if lib := s.h.Library(t.Level); lib != nil {
			at, ok := lib.Index[t.Hash]
			if !ok {
				return nil, fmt.Errorf("trial %d (%s) is not in the library of level %d; was the design space changed?", t.ID, t.Title, t.Level)
			}
			o.Index = at
		}
		o.Values = s.measured(&t)
		switch t.State {
		case run.Done:
			o.Score = t.Score
		case run.Failed, run.Stopped:
		default:
			o.Pending = true
		}
		out = append(out, o)
	}
	return out, nil
}

// measured are a trial's values of the criteria; nil unless all that training tells are known.
func (s *searching) measured(t *run.Trial) []float64 {
	if !s.cfg.measures() {
		return nil
	}
	var values []float64
	for _, c := range s.cfg.Criteria() {
		v, known := t.Measure(c.Name)
		if !known {
			return nil
		}
		values = append(values, v)
	}
	return values
}

func (s *searching) next(ctx context.Context, trials []run.Trial) (run.Trial, model.Arch, error) {
	outcomes, err := s.outcomes(trials)
	if err != nil {
		return run.Trial{}, model.Arch{}, err
	}
	pick, wanted := s.pinned(trials)
	if !wanted {
		pick, err = s.h.Next(ctx, outcomes, s.wishes.skipped)
	}
	switch {
	case errors.Is(err, ErrWait):
		return run.Trial{}, model.Arch{}, run.ErrWait
	case errors.Is(err, ErrConverged):
		return run.Trial{}, model.Arch{}, run.ErrDone
	case err != nil:
		return run.Trial{}, model.Arch{}, err
	}
	lib := s.h.Library(pick.Level)
	t := run.Trial{Level: pick.Level, Parent: -1, Why: pick.Why, Predict: prediction(pick.Predict)}
	arch := lib.Archs[pick.Index]
	t.Parent, t.Overlap = s.parentOf(arch, pick, trials)
	s.view = s.look(pick, trials)
	if s.note != "" {
		t.Why += "; " + s.note
		s.note = ""
	}
	return t, arch, nil
}

func prediction(b *Belief) *run.Prediction {
	if b == nil {
		return nil
	}
	return &run.Prediction{Mean: b.Mean, Aleatoric: b.Aleatoric, Epistemic: b.Epistemic, Acquisition: b.Acquisition}
}

// parentOf finds the trained candidate that overlaps most, of any level; under the paper's policy, the one the policy chose.
func (s *searching) parentOf(arch model.Arch, pick LevelPick, trials []run.Trial) (int, float64) {
	if s.cfg.Transfer.Mode == model.TransferOff {
		return -1, 0
	}
	lib := s.h.Library(pick.Level)
	best, at := s.cfg.Transfer.Threshold, -1
	for _, t := range trials {
		if t.Arm != run.ArmSearch || t.State != run.Done || t.Weights == "" {
			continue
		}
		if s.cfg.Policy == paperPolicy && (pick.Transfer < 0 || lib.Hashes[pick.Transfer] != t.Hash) {
			continue
		}
		var source model.Arch
		if json.Unmarshal(t.Arch, &source) != nil {
			continue
		}
		if o := s.cfg.overlap(arch, source); o >= best {
			best, at = o, t.ID
		}
	}
	if at < 0 {
		return -1, 0
	}
	return at, best
}

func (s *searching) save() ([]byte, error) { return s.h.State() }

func (s *searching) surrogate() *run.Surrogate { return s.view }

// Sizes of what the workbench is shown of the surrogate.
const (
	shownCandidates = 160
	shownQueue      = 8
)

// ranking is a policy whose beliefs cost more with every result: it names its best candidates, so that not all need be asked for.
type ranking interface{ Ranked() []int }

// shown lists positions that a view is made of: all of them, of which every stride-th by acquisition is drawn; or the ranked ones, an even sample of the
// library, and as many of the trials.
func (s *searching) shown(pick LevelPick, trials []run.Trial) (positions []int, stride int) {
	lib := s.h.Library(pick.Level)
	ranked, ok := s.h.Policy(pick.Level).(ranking)
	if !ok {
		for i := range lib.Len() {
			positions = append(positions, i)
		}
		return positions, max(1, lib.Len()/shownCandidates)
	}
	positions = slices.Clone(ranked.Ranked())
	for n := range min(lib.Len(), shownCandidates) {
		positions = append(positions, n*lib.Len()/min(lib.Len(), shownCandidates))
	}
	var known []int
	for _, t := range trials {
		if i, ok := lib.Index[t.Hash]; ok {
			known = append(known, i)
		}
	}
	for n := range min(len(known), shownCandidates) {
		positions = append(positions, known[len(known)-1-n*len(known)/min(len(known), shownCandidates)])
	}
	slices.Sort(positions)
	return slices.Compact(positions), 1
}

// look evaluates the surrogate over the library of the present level, best acquisition first, thinned out for a chart.
func (s *searching) look(pick LevelPick, trials []run.Trial) *run.Surrogate {
	lib := s.h.Library(pick.Level)
	proposed := map[string]int{}
	for _, t := range trials {
		if t.Arm == run.ArmSearch {
			proposed[t.Hash] = t.ID
		}
	}
	all, stride := s.shown(pick, trials)
	values := s.h.Policy(pick.Level).Beliefs(all)
	if values == nil {
		return nil
	}
	beliefs := make(map[int]Belief, len(all))
	for n, i := range all {
		beliefs[i] = values[n]
	}
	slices.SortFunc(all, func(a, b int) int {
		return cmp.Or(cmp.Compare(beliefs[b].Acquisition, beliefs[a].Acquisition), cmp.Compare(a, b))
	})
	entry := func(i int) run.Candidate {
		b := beliefs[i]
		c := run.Candidate{Hash: lib.Hashes[i], Title: lib.Archs[i].Title(), Params: lib.Params[i], Predict: *prediction(&b), Trial: -1}
		if id, ok := proposed[c.Hash]; ok {
			c.Trial = id
		}
		return c
	}
	v := &run.Surrogate{}
	for _, t := range trials {
		if t.Arm == run.ArmSearch && t.State == run.Done {
			v.Fitted++
		}
	}
	for rank, i := range all {
		if _, known := proposed[lib.Hashes[i]]; rank%stride == 0 || known {
			v.Candidates = append(v.Candidates, entry(i))
		}
		if _, known := proposed[lib.Hashes[i]]; !known && i != pick.Index && !slices.Contains(s.wishes.skipped, lib.Hashes[i]) && len(v.Queue) < shownQueue {
			v.Queue = append(v.Queue, entry(i))
		}
	}
	return v
}

// shownNeighbours is how many neighbours the inspector lists.
const shownNeighbours = 16

func (s *searching) neighbours(t run.Trial, trials []run.Trial) []run.Neighbour {
	lib := s.h.Library(t.Level)
	if lib == nil {
		return nil
	}
	at, ok := lib.Index[t.Hash]
	if !ok {
		return nil
	}
	near := s.near[t.Level]
	if near == nil {
		var err error
		if near, err = NewNeighbours(lib, NearestNeighbours); err != nil {
			return nil
		}
		s.near[t.Level] = near
	}
	var out []run.Neighbour
	for _, i := range near.Of(at, shownNeighbours) {
		n := run.Neighbour{
			Hash: lib.Hashes[i], Title: lib.Archs[i].Title(), Distance: math.Sqrt(squaredL2(lib.Embeddings[at], lib.Embeddings[i])),
			Overlap: s.cfg.overlap(lib.Archs[i], lib.Archs[at]), Edit: edit(lib.Archs[at], lib.Archs[i]), Trial: -1,
		}
		for _, other := range trials {
			if other.Hash == n.Hash && other.Arm == run.ArmSearch {
				n.Trial, n.Score = other.ID, other.Score
			}
		}
		out = append(out, n)
	}
	return out
}
