package run

import (
	"log/slog"
	"time"
)

// Options of a Controller.
type Options struct {
	Logger  *slog.Logger
	Clock   func() time.Time // nil: time.Now
	Device  string           // shown to viewers
	Load    func() Load      // of the device, asked once a second beside the trainings; nil where nobody knows it
	Version string
	// Threads is the number of processor threads that the workers of a run share.
	Threads int
	// Patience is how long a training may give no sign of life before it counts as hung; 0 takes defaultPatience.
	Patience time.Duration
	// Backoff is the wait before a failed training is tried again; each further one is four times as long. 0 takes defaultBackoff.
	Backoff time.Duration
}

// longestGap is the most of the time between two looks at the trainings that counts.
const longestGap = time.Minute

const (
	defaultPatience = 30 * time.Minute
	defaultBackoff  = 2 * time.Second
	backoffFactor   = 4
)

// viewEvery is the least time between two stored pictures of a run's surrogate while it works.
const viewEvery = time.Minute

// publishEvery bounds how often progress alone makes a new snapshot.
const publishEvery = 250 * time.Millisecond

// checkpointLines is the least time between two lines about a worker's checkpoints.
const checkpointLines = time.Minute

// Limits of the controller.
const (
	maxAttempts    = 3    // trainings of one trial before it stays failed
	firstFailures  = 3    // if the first so many trials all fail, the run fails
	eventsKept     = 2000 // events of a run in memory
	lossesKept     = 120  // recent losses of a worker
	maxFailedShare = 2    // a run gives up after budget × this many trials
)
