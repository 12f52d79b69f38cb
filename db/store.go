// Package db keeps a workspace on disk: runs, trials, events and curves in a bbolt database, weights in files beside it.
//
// What it promises: a change that was acknowledged survives the end of the process at any instant, and of the machine; every value and
// every file is checked against its checksum before anybody sees it; after the first write that fails, the store refuses all others,
// because nobody knows what a second try would keep. The layout is described in docs/formats.md.
//
// One goroutine writes. It groups what arrives within 200 ms, or 256 changes, or what somebody waits for, into one transaction, which is in the
// journal before it is in the database: with a backup the journal makes the newest database again. Read transactions last milliseconds and never
// leave a function.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

// Options of Open.
type Options struct {
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
	// MaxSize bounds the database file in bytes; a change that would make it larger makes the store read-only. 0: no bound.
	MaxSize int

	disk disk // nil: the operating system's
}

// Store is an open workspace. It implements run.Store.
type Store struct {
	dir  string
	opts Options
	lock *os.File
	bolt *bbolt.DB

	writer  *writer
	journal *journal
	blobs   *blobs
	backups *backups
	notices []string

	seq      atomic.Uint64 // number of the newest event
	fileSize atomic.Int64
	readOnly atomic.Pointer[error]
	closing  sync.Once
	closed   atomic.Bool
}

var _ run.Store = (*Store)(nil)

// Notices are sentences about what Open found and repaired, to be shown to the user; empty after an ordinary start.
func (s *Store) Notices() []string { return s.notices }

// Stats implements run.Store.
func (s *Store) Stats() run.StoreStats {
	st := run.StoreStats{Path: s.dir, Notices: s.notices, DatabaseBytes: s.fileSize.Load()}
	st.Blobs, st.BlobBytes = s.blobs.totals()
	if err := s.readOnly.Load(); err != nil {
		st.ReadOnly = (*err).Error()
	}
	return st
}

// Close makes everything durable, writes a backup if anything changed since the last one, and gives the workspace back. Further calls do nothing.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.writer.stop()
		s.backups.stop()
		err = errors.Join(s.journal.close(), s.bolt.Close(), unlock(s.lock))
	})
	return err
}

// freeze makes the store read-only. The first cause stays.
func (s *Store) freeze(cause error) error {
	err := fmt.Errorf("%w: %w; everything acknowledged before is kept: free space or repair the disk, then start flexi again", ErrReadOnly, cause)
	if s.readOnly.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("workspace is read-only from here on", "err", cause)
	}
	return *s.readOnly.Load()
}

// writable returns why nothing can be written, nil if it can.
func (s *Store) writable() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if err := s.readOnly.Load(); err != nil {
		return *err
	}
	return nil
}

// read runs f in a short read transaction, after what was written before is there to be read.
func (s *Store) read(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	// A read-only store still answers from what it has.
	_ = s.writer.flush()
	return guard(func() error { return s.bolt.View(f) })
}

// guard turns bbolt's panics and faults on a damaged mapping into errors.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = damaged("database: %v", v)
		}
	}()
	return f()
}
