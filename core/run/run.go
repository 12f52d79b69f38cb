// Package run owns runs: what a run is, which states it goes through, who works on it, and what viewers see of it.
//
// The Controller (one goroutine) owns all run state. A Kind decides what to try next and trains it (search and finetune implement it), a Store
// makes it durable (db implements it), viewers get immutable Snapshots through one-slot mailboxes and send Commands. Nothing a viewer does can
// block training: an event is first appended to the store, then published.
package run

import (
	"encoding/json"
	"time"
)

// State of a run or a trial.
type State string

// States and their transitions:
//
//	queued → running ⇄ pausing → paused → running;  running|paused → stopping → stopped
//	running → done | failed;  process gone → lost (found at the next start) → running by resume
const (
	Queued   State = "queued"
	Running  State = "running"
	Pausing  State = "pausing"
	Paused   State = "paused"
	Stopping State = "stopping"
	Stopped  State = "stopped"
	Done     State = "done"
	Failed   State = "failed"
	Lost     State = "lost"
)

// Run is one search or one fine-tuning.
type Run struct {
	ID      string `json:"id"`   // "search-01": kind and a number, unique in the workspace
	Kind    string `json:"kind"` // "search" or "flexora"
	State   State  `json:"state"`
	Want    State  `json:"want"` // what was last asked for: Running, Paused or Stopped
	Created time.Time
	Started time.Time
	Ended   time.Time
	Seconds float64 // time spent running, over all sessions
	Seed    uint64
	// Config is the kind's full configuration with every default written out.
	Config json.RawMessage
	// Budget is how many trials the run wants to finish; 0 means until the policy converges.
	Budget  int
	Workers int
	// Parent is the run this one was branched from, after its first ParentTrials trials.
	Parent       string
	ParentTrials int
	Objective    Objective
	Criteria     []Criterion // what counts beside the objective
	Error        string      // why it failed, for people: cause and next step
	Note         string
	// Pinned are hashes of architectures that people want proposed next, in order; Skipped those that must not be proposed.
	Pinned, Skipped []string
}

// Objective names the number a run improves.
type Objective struct {
	Name     string // "GLUE"
	Maximize bool
}

// Better reports whether score a beats b.
func (o Objective) Better(a, b float64) bool {
	if o.Maximize {
		return a > b
	}
	return a < b
}

// gain is by how much score a beats b.
func (o Objective) gain(a, b float64) float64 {
	if o.Maximize {
		return a - b
	}
	return b - a
}

// Trial is one architecture (or one selector) that a run evaluates. Trials are numbered from 0 in the order of proposal.
type Trial struct {
	Run     string
	ID      int
	Hash    string          // identity of Arch
	Arch    json.RawMessage // the kind's description
	Title   string          // short, for people: "4 layers, 256/128, sa·sa·l·l"
	Layers  []LayerRow
	Params  int64 // parameters of encoder and pooler
	Level   int   // level of the hierarchy, from 1
	Why     string
	Predict *Prediction // the surrogate's view when it was proposed; nil if it had none
	// Arm is "" for a trial of the search, else what it retrains trial Of for, the Repeat-th time (from 0): such a trial measures, and takes no part in the
	// search.
	Arm    Arm
	Of     int
	Repeat int

	State   State
	Attempt int // from 1
	Error   string
	Reason  string // why it was stopped before its end
	Parent  int    // trial whose weights it started from, -1 for none
	Overlap float64
	Score   *float64           // nil until done; in the units of the objective
	Scores  map[string]float64 // parts of the score by name
	Detail  json.RawMessage    `json:",omitempty"` // what else the kind says of the result
	// Frozen is the rule by which a person wants the layer search to end with what it has found; "" lets it go on.
	Frozen   string             `json:",omitempty"`
	Measures map[string]float64 // what was measured of its training, by the names of criteria
	Rungs    []Rung             // of successive halving, in the order in which it came to them
	Seconds  float64            // training time over all sessions
	Proposed time.Time
	Started  time.Time
	Ended    time.Time

	// Checkpoint is the blob of a half-trained trial, Earlier the checkpoint before it, Weights the blob of a finished one; "" for none.
	Checkpoint string
	Earlier    string
	Weights    string
}

// Arm is what a trial is trained for.
type Arm string

// Arms.
const (
	// ArmSearch is the search itself.
	ArmSearch Arm = ""
	// ArmConfirm retrains one of the best from scratch, with a new seed.
	ArmConfirm Arm = "confirm"
	// ArmTransfer retrains it with the weights that its first training started from, with the seeds of ArmConfirm.
	ArmTransfer Arm = "confirm transfer"
)

// LayerRow is one line of an architecture as people read it.
type LayerRow struct {
	Name   string // "0", "projection", "embedding"
	Op     string // "sa·sdp"
	Hidden int
	Heads  int
	FF     string // "512·512·512"
	Params int64
}

// Prediction is what the surrogate expects of an architecture, in the units of the objective.
type Prediction struct {
	Mean      float64
	Aleatoric float64 // standard deviation of the noise
	Epistemic float64 // standard deviation of ignorance
	// Acquisition is the value the policy ranked by.
	Acquisition float64
}

// Progress is where a worker stands inside a trial.
type Progress struct {
	Phase           string // "pre-training", "SST-2", "evaluating CoLA"
	Step, Steps     int    // over the whole trial
	Loss            float64
	TokensPerSecond float64
	Note            string
}

// Point is one value of a learning curve.
type Point struct {
	Series string // "pre-training loss", "SST-2 dev accuracy"
	Step   int
	Value  float64
}

// Event is a line of the run's history.
type Event struct {
	Seq   uint64
	Time  time.Time
	Run   string
	Trial int    // -1 if it is about the run
	Kind  string // "state", "pick", "best", "fit", "done", "stop", "fail", "checkpoint", "command", "warn"
	Actor string // who asked, for commands
	Text  string
}

// Verb is what a command asks for.
type Verb string

// Verbs.
const (
	Pause     Verb = "pause"
	Resume    Verb = "resume" // Config replaces the configuration if set
	Stop      Verb = "stop"
	Kill      Verb = "kill"     // stop without a checkpoint
	Branch    Verb = "branch"   // a new paused run from the first Trial trials of Run (-1: all finished ones); Config replaces the configuration if set
	Retry     Verb = "retry"    // train failed trial Trial again
	Annotate  Verb = "annotate" // set Run.Note to Text
	Pin       Verb = "pin"      // propose the architecture with hash Text as soon as a worker is free
	TrainNext Verb = "train"    // the same, before all others that are pinned
	Skip      Verb = "skip"     // never propose the architecture with hash Text
	Release   Verb = "release"  // neither pin nor skip it any more
	Freeze    Verb = "freeze"   // end the layer search of a trial (-1: of all that are trained) at its next step, by the rule Text
	Set       Verb = "set"      // apply Changes to the run, which may be going on
)

// Command is what a person asks of a run. Commands are idempotent by ID, stored, and shown as events.
type Command struct {
	ID     string
	Verb   Verb
	Run    string
	Trial  int
	Text   string
	Config json.RawMessage
	// Workers and Budget change the run's own with Resume and Branch; 0 leaves them.
	Workers int
	Budget  int
	// Changes are "key=value" for Set and Branch; the key workers is the run's, all others are its configuration's.
	Changes []string
	Actor   string
	Time    time.Time
	// ReadOnly marks a person who may only look: the command is refused, and the refusal kept as an event.
	ReadOnly bool
}

// Reply says what became of a command. Refused is set when the run's state does not allow it; Text says why and what to do.
type Reply struct {
	Refused bool
	Text    string
	Run     string // the new run, for Branch
}
