package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"flexi/core/run"
)

// AcquisitionConfig weighs exploration. What is nil is the policy's own: for boshnas no sampling steps and a weight of 1, for boshnas-net and
// boshnas-paper a tenth of each kind of step and a weight of 0.5. The other policies have nothing to weigh.
type AcquisitionConfig struct {
	// Uncertainty and Diversity are the shares of proposals that sample where the surrogate knows least, and far from all that was proposed.
	Uncertainty *float64 `yaml:"uncertainty" json:"uncertainty"`
	Diversity   *float64 `yaml:"diversity" json:"diversity"`
	// Explore is the weight of the uncertainties in what the other proposals optimise.
	Explore *float64 `yaml:"explore" json:"explore"`
}

// over replaces a policy's own values by those that are set.
func (a AcquisitionConfig) over(uncertainty, diversity, explore *float64) {
	for _, s := range []struct{ set, own *float64 }{{a.Uncertainty, uncertainty}, {a.Diversity, diversity}, {a.Explore, explore}} {
		if s.set != nil {
			*s.own = *s.set
		}
	}
}

func (a AcquisitionConfig) validate(check func(ok bool, format string, args ...any)) {
	var shares float64
	for name, v := range map[string]*float64{"uncertainty": a.Uncertainty, "diversity": a.Diversity, "explore": a.Explore} {
		if v == nil {
			continue
		}
		if name == "explore" {
			check(*v > 0 && *v <= 100, "acquisition.explore: %v, must be over 0 and at most 100", *v)
			continue
		}
		check(*v >= 0 && *v <= 1, "acquisition.%s: %v, must be 0 to 1", name, *v)
		shares += *v
	}
	check(shares <= 1, "acquisition: uncertainty and diversity are shares of the proposals, together %v, must be at most 1", shares)
}

// goingKeys can be changed while trained trials stay: their scores do not depend on them.
var goingKeys = []string{"candidates", "acquisition.", "checkpoint_seconds", "confirm.", "halving.", "transfer.threshold"}

// Configure implements run.Configurer.
func (k *Kind) Configure(r run.Run, trials []*run.Trial, changes []string, going bool) (json.RawMessage, int, error) {
	if going {
		for _, change := range changes {
			key, _, _ := strings.Cut(change, "=")
			key = strings.TrimSpace(key)
			if !slices.ContainsFunc(goingKeys, func(g string) bool { return key == g || strings.HasSuffix(g, ".") && strings.HasPrefix(key, g) }) {
				return nil, 0, fmt.Errorf("%s cannot change in a run that goes on (workers, %s can): branch it with the change", key, strings.Join(goingKeys, ", "))
			}
		}
	}
	var c Config
	if err := json.Unmarshal(r.Config, &c); err != nil {
		return nil, 0, fmt.Errorf("read the configuration of %s: %w", r.ID, err)
	}
	whole, err := json.Marshal(c) // with the keys of this version
	if err != nil {
		return nil, 0, fmt.Errorf("encode the configuration of %s: %w", r.ID, err)
	}
	if whole, err = run.Patch(whole, changes); err != nil {
		return nil, 0, err
	}
	c = Config{}
	d := json.NewDecoder(bytes.NewReader(whole))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", strings.Join(changes, ", "), err)
	}
	if c, err = c.Complete(k.on); err != nil {
		return nil, 0, err
	}
	if whole, err = json.Marshal(c); err != nil {
		return nil, 0, fmt.Errorf("encode the configuration of %s: %w", r.ID, err)
	}
	return WithCandidates(whole, c.Candidates, trials)
}

// wishes are what people asked of the next proposals.
type wishes struct{ pinned, skipped []string }

// Change implements run.Changer. With another budget or configuration the policy goes on from its state.
func (j *job) Change(r run.Run) error {
	j.wishes = wishes{r.Pinned, r.Skipped}
	if bytes.Equal(r.Config, j.run.Config) && r.Budget == j.run.Budget {
		return nil
	}
	var cfg Config
	if err := json.Unmarshal(r.Config, &cfg); err != nil {
		return fmt.Errorf("read the configuration of %s: %w", r.ID, err)
	}
	state, err := j.State()
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.cfg, j.run = cfg, r
	j.mu.Unlock()
	j.state, j.proposer = state, nil
	return nil
}

// recipe is what trainings need; Change may come beside them.
func (j *job) recipe() (Config, uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cfg, j.run.Seed
}

// pinned is the first architecture that people want and nobody trained; false if there is none. The surrogate's belief goes with it.
func (s *searching) pinned(trials []run.Trial) (LevelPick, bool) {
	for _, hash := range s.wishes.pinned {
		if slices.ContainsFunc(trials, func(t run.Trial) bool { return t.Hash == hash && t.Arm == run.ArmSearch }) {
			continue
		}
		for level := s.h.Level(); level >= 1; level-- {
			i, ok := s.h.Library(level).Index[hash]
			if !ok {
				continue
			}
			pick := LevelPick{Level: level, Pick: Pick{Index: i, Why: "pinned", Transfer: -1}}
			if b := s.h.Policy(level).Beliefs([]int{i}); len(b) == 1 {
				pick.Predict = &b[0]
			}
			return pick, true
		}
	}
	return LevelPick{}, false
}
