package search

import (
	"bytes"
	"encoding/gob"
	"fmt"
)

// boshnasVersion is that of boshnasState; an older flexi refuses a newer one.
const boshnasVersion = 1

// boshnasState is everything Next depends on beside its argument and the options: random streams are derived from the seed and the number
// of the proposal.
type boshnasState struct {
	Version int
	Policy  string
	Size    int // of the library
	Fitted  bool
	Seen    uint64
	Steps   []int
	Target  target
	Weights [][]float64
}

// State encodes the surrogates and counters. Equal states have equal bytes.
func (p *boshnas) State() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(boshnasState{
		Version: boshnasVersion, Policy: p.name, Size: p.lib.Len(), Fitted: p.fitted, Seen: p.seen, Steps: p.steps,
		Target: p.s.target, Weights: p.s.params(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode state of %s: %w", p.name, err)
	}
	return b.Bytes(), nil
}

// Restore goes back to a state of the same policy and library; on an error the policy is unchanged.
func (p *boshnas) Restore(state []byte) error {
	var st boshnasState
	if err := gob.NewDecoder(bytes.NewReader(state)).Decode(&st); err != nil {
		return fmt.Errorf("decode state of %s: %w", p.name, err)
	}
	if st.Version != boshnasVersion {
		return fmt.Errorf("restore %s: the state has version %d, this flexi reads %d; use the flexi that wrote it", p.name, st.Version, boshnasVersion)
	}
	if st.Policy != p.name || st.Size != p.lib.Len() {
		return fmt.Errorf("restore %s on %d architectures: the state is of %s on %d", p.name, p.lib.Len(), st.Policy, st.Size)
	}
	own := p.s.params()
	if len(own) != len(st.Weights) {
		return fmt.Errorf("restore %s: %d weight arrays instead of %d", p.name, len(st.Weights), len(own))
	}
	for i := range own {
		if len(own[i]) != len(st.Weights[i]) {
			return fmt.Errorf("restore %s: weight array %d has %d values instead of %d; the embedding's dimension differs", p.name, i, len(st.Weights[i]), len(own[i]))
		}
	}
	p.s.setParams(st.Weights)
	p.s.target = st.Target
	p.fitted, p.seen, p.steps = st.Fitted, st.Seen, st.Steps
	return nil
}
