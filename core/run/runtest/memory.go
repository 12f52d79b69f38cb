// Package runtest helps to test what is built on run: a Store in memory, the contract that every Store must keep, and a Kind whose
// trainings a test steps through by hand.
package runtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"flexi/core/run"
)

// Errors of a Memory.
var (
	ErrClosed   = errors.New("the memory store is closed")
	ErrNotFound = errors.New("not found")
)

// Memory is a run.Store without a disk. Like a disk it keeps copies: nothing given to it or taken from it shares memory with it.
type Memory struct {
	mu     sync.Mutex
	runs   []run.Run
	trials map[string][]run.Trial
	states map[string][]byte
	views  map[string]*run.Surrogate
	points map[trialRef][]run.Point
	events []run.Event
	blobs  map[string][]byte
	named  map[string]bool // blobs that records name
	fail   error
	closed bool
}

type trialRef struct {
	run   string
	trial int
}

var _ run.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		trials: map[string][]run.Trial{}, states: map[string][]byte{}, views: map[string]*run.Surrogate{}, points: map[trialRef][]run.Point{},
		blobs: map[string][]byte{},
	}
}

// FailWrites makes every further write return err, like a full disk; nil ends that.
func (m *Memory) FailWrites(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// LoseBlob removes a blob behind the store's back.
func (m *Memory) LoseBlob(hash string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, hash)
}

// Reopen returns a store with the same content, as a process finds it that starts after this one was killed: m refuses further calls.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &Memory{runs: m.runs, trials: m.trials, states: m.states, views: m.views, points: m.points, events: m.events, blobs: m.blobs, named: m.named}
	m.closed = true
	return n
}

func (m *Memory) begin(ctx context.Context, write bool) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case m.closed:
		return ErrClosed
	case write && m.fail != nil:
		return m.fail
	}
	return nil
}

// copyOf is a deep copy by the encoding that stores use.
func copyOf[T any](v T) (T, error) {
	var out T
	b, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(b, &out)
}

// CreateRun implements run.Store.
func (m *Memory) CreateRun(ctx context.Context, r run.Run) (run.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return run.Run{}, err
	}
	n := 1
	for _, old := range m.runs {
		if old.Kind == r.Kind {
			n++
		}
	}
	r.ID = fmt.Sprintf("%s-%02d", r.Kind, n)
	kept, err := copyOf(r)
	if err != nil {
		return run.Run{}, err
	}
	m.runs = append(m.runs, kept)
	return r, nil
}

func (m *Memory) find(id string) int {
	return slices.IndexFunc(m.runs, func(r run.Run) bool { return r.ID == id })
}

// UpdateRun implements run.Store.
func (m *Memory) UpdateRun(ctx context.Context, r run.Run) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return err
	}
	i := m.find(r.ID)
	if i < 0 {
		return fmt.Errorf("store run %s: %w", r.ID, ErrNotFound)
	}
	kept, err := copyOf(r)
	if err == nil {
		m.runs[i] = kept
	}
	return err
}

// Runs implements run.Store.
func (m *Memory) Runs(ctx context.Context) ([]run.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, false); err != nil {
		return nil, err
	}
	return copyOf(m.runs)
}

// PutTrial implements run.Store.
func (m *Memory) PutTrial(ctx context.Context, t run.Trial, state []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return err
	}
	if m.find(t.Run) < 0 {
		return fmt.Errorf("store trial %d: run %s: %w", t.ID, t.Run, ErrNotFound)
	}
	trials := m.trials[t.Run]
	if t.ID < 0 || t.ID > len(trials) {
		return fmt.Errorf("store trial %d of %s: trials are numbered without gaps", t.ID, t.Run)
	}
	kept, err := copyOf(t)
	if err != nil {
		return err
	}
	if t.ID == len(trials) {
		m.trials[t.Run] = append(trials, kept)
	} else {
		trials[t.ID] = kept
	}
	if state != nil {
		m.states[t.Run] = bytes.Clone(state)
	}
	m.dropBlobs()
	return nil
}

// dropBlobs forgets blobs that a record named once and none does any more.
func (m *Memory) dropBlobs() {
	named := map[string]bool{}
	for _, trials := range m.trials {
		for _, t := range trials {
			named[t.Checkpoint], named[t.Earlier], named[t.Weights] = true, true, true
		}
	}
	for hash := range m.blobs {
		if m.named[hash] && !named[hash] {
			delete(m.blobs, hash)
		}
	}
	m.named = named
}

// Trials implements run.Store.
func (m *Memory) Trials(ctx context.Context, id string) ([]run.Trial, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, false); err != nil {
		return nil, err
	}
	return copyOf(m.trials[id])
}

// JobState implements run.Store.
func (m *Memory) JobState(ctx context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.states[id]), m.begin(ctx, false)
}

// PutView implements run.Store.
func (m *Memory) PutView(ctx context.Context, id string, v *run.Surrogate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return err
	}
	kept, err := copyOf(v)
	if err == nil {
		m.views[id] = kept
	}
	return err
}

// View implements run.Store.
func (m *Memory) View(ctx context.Context, id string) (*run.Surrogate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, false); err != nil {
		return nil, err
	}
	return copyOf(m.views[id])
}

// AddPoints implements run.Store.
func (m *Memory) AddPoints(ctx context.Context, id string, trial int, p []run.Point) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return err
	}
	ref := trialRef{id, trial}
	m.points[ref] = append(m.points[ref], p...)
	return nil
}

// Points implements run.Store.
func (m *Memory) Points(ctx context.Context, id string, trial int) ([]run.Point, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.points[trialRef{id, trial}]), m.begin(ctx, false)
}

// AddEvents implements run.Store.
func (m *Memory) AddEvents(ctx context.Context, e []run.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return err
	}
	for i := range e {
		e[i].Seq = uint64(len(m.events) + 1)
		m.events = append(m.events, e[i])
	}
	return nil
}

// Events implements run.Store.
func (m *Memory) Events(ctx context.Context, id string, n int) ([]run.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, false); err != nil {
		return nil, err
	}
	events := slices.Clone(m.events)
	if id != "" {
		events = slices.DeleteFunc(events, func(e run.Event) bool { return e.Run != id })
	}
	return events[max(0, len(events)-n):], nil
}

// PutBlob implements run.Store.
func (m *Memory) PutBlob(ctx context.Context, write func(io.Writer) error) (hash string, size int64, err error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return "", 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, true); err != nil {
		return "", 0, err
	}
	sum := sha256.Sum256(b.Bytes())
	hash = hex.EncodeToString(sum[:])
	m.blobs[hash] = b.Bytes()
	return hash, int64(b.Len()), nil
}

// OpenBlob implements run.Store.
func (m *Memory) OpenBlob(hash string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.blobs[hash]
	if !ok {
		return nil, fmt.Errorf("open blob %q: %w: %w", hash, run.ErrLost, ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// Backup implements run.Store. The copy is for people: JSON of runs and trials.
func (m *Memory) Backup(ctx context.Context, w io.Writer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, false); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(map[string]any{"runs": m.runs, "trials": m.trials})
}

// Stats implements run.Store.
func (m *Memory) Stats() run.StoreStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := run.StoreStats{Path: "memory"}
	for _, b := range m.blobs {
		s.Blobs++
		s.BlobBytes += int64(len(b))
	}
	if m.fail != nil {
		s.ReadOnly = m.fail.Error()
	}
	return s
}

// Close implements run.Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
