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
}

// State encodes hyperparameters and counters. Equal states have equal bytes.
func (p *boshnasGP) State() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(boshnasGPState{boshnasGPVersion, "boshnas", p.lib.Len(), *p.model, p.refitAt, p.steps})
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
	p.model, p.refitAt, p.steps = &st.Model, st.RefitAt, st.Steps
	return nil
}
