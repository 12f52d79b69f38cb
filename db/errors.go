package db

import (
	"errors"
	"fmt"
)

// Errors of opening a workspace.
var (
	// ErrHeld is returned by Open and Check while another process has the workspace open.
	ErrHeld = errors.New("the workspace is in use")
	// ErrNewer is returned by Open and Check for a database that a newer flexi wrote. Nothing is changed.
	ErrNewer = errors.New("the database was written by a newer flexi")
)

// Errors of an open store.
var (
	// ErrDamaged is returned where bytes on disk are not what was written: a page, a record's checksum, a blob's hash.
	ErrDamaged = errors.New("damaged")
	// ErrReadOnly is returned by every write after the first one that failed: after a failed write or sync nobody knows what
	// a second try would keep.
	ErrReadOnly = errors.New("the workspace refuses further changes")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the store is closed")
	// ErrNotFound is returned for a run, a trial or a blob that does not exist.
	ErrNotFound = errors.New("not found")
)

// refusal is an error of one write that leaves its transaction, and with it the store, as they were.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
