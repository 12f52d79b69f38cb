package search

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"slices"

	"flexi/core/search/gauss"
)

// boshnasGPVersion is that of boshnasGPState. Version 1 was of the networks.
const boshnasGPVersion = 2

// boshnasGPState is everything Next depends on beside its argument and the options.
type boshnasGPState struct {
	Version int
	Policy  string
	Size    int // of the library
	Model   gauss.Model
	RefitAt int
	Steps   []int
	// Criteria are the models of those criteria that training tells, CriteriaRefitAt is the number of measurements that their next fit waits for.
	Criteria        []gauss.Model
	CriteriaRefitAt int
}

// State encodes hyperparameters and counters. Equal states have equal bytes.
func (p *boshnasGP) State() ([]byte, error) {
	var b bytes.Buffer
	st := boshnasGPState{Version: boshnasGPVersion, Policy: gpPolicy, Size: p.lib.Len(), Model: *p.model, RefitAt: p.refitAt, Steps: p.steps}
	if p.criteria != nil {
		st.CriteriaRefitAt = p.criteria.refitAt
		for _, m := range p.criteria.measured() {
			st.Criteria = append(st.Criteria, *m)
		}
	}
	err := gob.NewEncoder(&b).Encode(st)
	if err != nil {
		return nil, fmt.Errorf("encode state of boshnas: %w", err)
	}
	return b.Bytes(), nil
}

// Restore goes back to a state of the same policy and library; on an error the policy is unchanged.
func (p *boshnasGP) Restore(state []byte) error {
	var st boshnasGPState
	if err := gob.NewDecoder(bytes.NewReader(state)).Decode(&st); err != nil {
		return fmt.Errorf("decode state of boshnas: %w", err)
	}
	if st.Version != boshnasGPVersion {
		return fmt.Errorf("restore boshnas: the state has version %d, this flexi reads %d; use the flexi that wrote it", st.Version, boshnasGPVersion)
	}
	if st.Policy != "boshnas" || st.Size != p.lib.Len() {
		return fmt.Errorf("restore boshnas on %d architectures: the state is of %s on %d", p.lib.Len(), st.Policy, st.Size)
	}
	if err := st.Model.Check(p.in); err != nil {
		return fmt.Errorf("restore boshnas: %w", err)
	}
	if !slices.IsSorted(st.Steps) {
		return fmt.Errorf("restore boshnas: the list of steps is not sorted")
	}
	if err := p.criteria.restore(p.in, st); err != nil {
		return err
	}
	p.model, p.refitAt, p.steps = &st.Model, st.RefitAt, st.Steps
	return nil
}

// measured are the models of the criteria that training tells.
func (c *criteriaGP) measured() []*gauss.Model {
	var out []*gauss.Model
	for _, m := range c.models {
		if m != nil {
			out = append(out, m)
		}
	}
	return out
}

// restore takes over the models of a state. A run that goes on with other criteria begins with new ones.
func (c *criteriaGP) restore(in *gauss.Inputs, st boshnasGPState) error {
	if c == nil || len(st.Criteria) != len(c.measured()) {
		return nil
	}
	for i := range st.Criteria {
		if err := st.Criteria[i].Check(in); err != nil {
			return fmt.Errorf("restore boshnas: a criterion's model: %w", err)
		}
	}
	for i, m := range c.measured() {
		*m = st.Criteria[i]
	}
	c.refitAt = st.CriteriaRefitAt
	return nil
}
