package run

import (
	"context"
	"errors"
	"io"
)

// ErrLost is returned by Store.OpenBlob for content that is gone for good: a missing or damaged file.
var ErrLost = errors.New("its content is lost")

// Store keeps runs. Every method returns after the change is durable, unless it says otherwise. Implementations are safe for concurrent use.
type Store interface {
	// CreateRun stores a new run and gives it an ID (kind-NN).
	CreateRun(ctx context.Context, r Run) (Run, error)
	UpdateRun(ctx context.Context, r Run) error
	Runs(ctx context.Context) ([]Run, error)

	// PutTrial stores a new or changed trial. With state non-nil the job's state is replaced in the same transaction. Points, events and views that were
	// added before are durable when it returns, and none of them without those before it.
	PutTrial(ctx context.Context, t Trial, state []byte) error
	Trials(ctx context.Context, run string) ([]Trial, error)
	JobState(ctx context.Context, run string) ([]byte, error)

	// PutView keeps what viewers see of a run's surrogate; it may become durable up to 200 ms later. View is what was put last, nil for nothing.
	PutView(ctx context.Context, run string, v *Surrogate) error
	View(ctx context.Context, run string) (*Surrogate, error)

	// AddPoints and AddEvents may become durable up to 200 ms later. AddEvents sets Seq.
	AddPoints(ctx context.Context, run string, trial int, p []Point) error
	Points(ctx context.Context, run string, trial int) ([]Point, error)
	AddEvents(ctx context.Context, e []Event) error
	// Events returns the newest n events of a run ("" for all runs), oldest first.
	Events(ctx context.Context, run string, n int) ([]Event, error)

	// PutBlob writes a file once, named by its SHA-256; it is durable before the name is returned. OpenBlob returns ErrLost for a file that is missing or
	// no longer what was written.
	PutBlob(ctx context.Context, write func(io.Writer) error) (hash string, size int64, err error)
	OpenBlob(hash string) (io.ReadCloser, error)

	// Backup writes a consistent copy of the database.
	Backup(ctx context.Context, w io.Writer) error
	// Stats are sizes for the system screen.
	Stats() StoreStats
	// Close makes everything durable. Every other call fails afterwards; closing again does nothing.
	Close() error
}

// StoreStats are sizes of the store.
type StoreStats struct {
	Path          string
	DatabaseBytes int64
	BlobBytes     int64
	Blobs         int
	// Notices are what the start found and repaired, in sentences.
	Notices []string
	// ReadOnly is the error after which the store refuses writes, "" while it works.
	ReadOnly string
}
