package run

import (
	"context"
	"time"
)

// Snapshot is what viewers see: an immutable picture of all runs and of the workers. Nobody may change what it points to.
type Snapshot struct {
	Time   time.Time
	Device string // "CPU avx512, 2 threads"
	Runs   []RunView
	Store  StoreStats
	System System
	// Present are the people attached, in the order in which they came.
	Present []string
	// Dropped counts progress updates that were merged because viewers were slower than training.
	Dropped uint64
}

// RunView is one run with everything the screens show. Slices are shared between snapshots and read-only.
type RunView struct {
	Run
	Trials    []*Trial // in the order of proposal
	Done      int      // finished with a score
	FailedN   int
	StoppedN  int       // before their end
	Best      int       // id of the best trial, -1 for none
	BestSoFar []float64 // after each finished trial of the search, in the order of finishing
	// Frontier are ids of trials that no other beats in both score and criteria (parameters where none is minimised), by the first of the criteria.
	Frontier  []int
	Workers   []WorkerView
	Events    []Event // newest last, at most 2,000
	Surrogate *Surrogate
	ETA       time.Duration // 0 if unknown
	// Thinking is what the run does while no worker trains: "fitting the surrogate", "" otherwise.
	Thinking string
	// Activity is the long step of that, if it reports one.
	Activity Activity
}

// WorkerView is one slot.
type WorkerView struct {
	Slot  int
	Trial int // -1 when idle
	Since time.Time
	Progress
	// Losses are the recent losses, oldest first, for a small curve.
	Losses []float64
	ETA    time.Duration
}

// System is the process and the machine.
type System struct {
	Version    string
	PID        int
	Started    time.Time
	Goroutines int
	HeapBytes  uint64
	RSSBytes   uint64
	CPUs       int
	CPUPercent float64 // of this process, 100 per core
	Load       *Load   // of the device; nil where nobody knows it
}

// Unknown stands in a Load for what the device does not tell.
const Unknown = -1

// Load is what a device with memory of its own does, all programs on it together.
type Load struct {
	Busy                  int   // percent of the last second in which something was computed
	UsedBytes, TotalBytes int64 // TotalBytes is 0 if unknown
	Celsius               int
	MHz, MostMHz          int // clock of the processors, and the highest it may have
}

// Viewer is how a screen talks to the controller, in the same process or over a connection.
type Viewer interface {
	// Subscribe returns a channel with the newest snapshot: a slow reader skips, it never blocks the publisher. It closes with ctx.
	Subscribe(ctx context.Context) <-chan *Snapshot
	Do(ctx context.Context, c Command) (Reply, error)
	Inspect(ctx context.Context, run string, trial int) (Inspection, error)
	Points(ctx context.Context, run string, trial int) ([]Point, error)
}
