// Package search finds architectures: the design space and its graphs, their distances and embedding, the policies that propose what to train
// next (BOSHNAS, random search, regularised evolution), the hierarchy of levels, and the evaluation of one candidate.
// It implements run.Kind. Method: FlexiBERT and BOSHNAS, arXiv 2205.11656.
package search

import (
	"context"
	"errors"

	"flexi/core/model"
)

// Library is the finite set of architectures that one level of the search chooses from.
type Library struct {
	Archs      []model.Arch
	Hashes     []string       // graph hash per architecture, unique
	Index      map[string]int // hash → position
	Embeddings [][]float64    // one vector per architecture, all of one dimension (16 in the paper)
	Params     []int64        // encoder and pooler parameters
	Features   []Feature      // what the codes mean; none if architectures are known by their embeddings only
	Codes      [][]int        // one code per architecture and feature
	Fit        Fit            // how well the embeddings reproduce the graph distances
}

// Len is the number of architectures. It counts hashes, because a table of results knows architectures by name only.
func (l *Library) Len() int { return len(l.Hashes) }

// Outcome is what became of one proposal, in the order of proposal.
type Outcome struct {
	Index int // position in the library
	// Pending is true while it is queued or in training. A failed one is neither pending nor scored.
	Pending bool
	Score   *float64 // higher is better; nil while pending, when it failed, and when it was stopped before its end
	// Values are those of the policy's criteria, as far as they were measured; a trial without a score may have them.
	Values []float64
}

// Pick is a proposal.
type Pick struct {
	Index int
	Why   string // "initial", "optimise", "uncertainty", "diversity", "mutation of …", "random"
	// Transfer is the library index of a trained architecture to start from, -1 to train from the start.
	Transfer int
	// Predict is the surrogate's belief, nil if the policy has none. Units are those of Outcome.Score.
	Predict *Belief
}

// Belief is a prediction with its two uncertainties, as standard deviations.
type Belief struct {
	Mean, Aleatoric, Epistemic, Acquisition float64
}

// ErrWait says that nothing can be proposed before a pending outcome is known.
var ErrWait = errors.New("waiting for results")

// ErrConverged says that the policy has nothing left to propose: it converged, or the library is used up.
var ErrConverged = errors.New("search converged")

// Policy proposes the next architecture of a library. Implementations are deterministic: the same seed, library and outcomes give the same picks.
type Policy interface {
	Name() string
	// Next proposes. It never proposes an index that is already among the outcomes.
	Next(ctx context.Context, outcomes []Outcome) (Pick, error)
	// State and Restore carry what Next depends on beside its argument (random stream, warm-started surrogates, counters).
	State() ([]byte, error)
	Restore(state []byte) error
	// Beliefs evaluates the surrogate at library positions; nil if there is no surrogate or it is not fitted yet.
	Beliefs(indices []int) []Belief
}
