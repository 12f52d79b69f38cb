package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"flexi/core/device/choose"
	"flexi/core/finetune"
	"flexi/core/run"
	"flexi/core/search"
	"flexi/db"
	"flexi/tui/remote"
)

// shutdownPatience bounds how long leaving waits for trainings to reach a step boundary and save a checkpoint.
const shutdownPatience = 2 * time.Minute

// workspace is this process's hold on a workspace: as its owner, or as a guest of the process that owns it.
type workspace struct {
	run.Viewer
	store      *db.Store       // nil for a guest
	controller *run.Controller // nil for a guest
	server     *remote.Server  // lets others in; nil for a guest, and where nobody can come
	guest      *remote.Client  // nil for the owner
	lent       bool            // somebody else closes it
	stop       context.CancelFunc
	log        *slog.Logger
	logFile    *os.File
	notices    []string // what opening the store had to repair
}

// call makes this process a guest of the one that owns the workspace; nil if there is none.
func (a *app) call() (*workspace, error) {
	c, err := remote.Dial(a.workspace)
	switch {
	case err == nil:
		return &workspace{Viewer: c, guest: c}, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil
	}
	return nil, fmt.Errorf("reach the process that owns %s: %w", a.workspace, err)
}

// visit opens the workspace for looking and commanding: as a guest if another process owns it, else as its owner for the moment.
func (a *app) visit(ctx context.Context) (*workspace, error) {
	if a.lent != nil {
		return a.lent, nil
	}
	for tries := 0; ; tries++ {
		if w, err := a.call(); w != nil || err != nil {
			return w, err
		}
		if err := a.exists(); err != nil {
			return nil, err
		}
		w, err := a.own(ctx)
		if !errors.Is(err, db.ErrHeld) || tries == heldTries {
			return w, err
		}
	}
}

// heldTries is how often a workspace is asked for again that is held by a process which lets nobody in yet, or no more. Each try takes a second.
const heldTries = 5

func (a *app) exists() error {
	if _, err := os.Stat(a.workspace); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no workspace at %s; start one with `flexi search --demo`, or name it with --workspace", a.workspace)
	}
	return nil
}

// own opens the workspace for training.
func (a *app) own(ctx context.Context) (*workspace, error) {
	store, err := db.Open(a.workspace, db.Options{})
	if err != nil {
		return nil, err
	}
	w := &workspace{store: store, notices: store.Notices()}
	if w.logFile, err = openLog(a.workspace); err != nil {
		store.Close()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	w.log = slog.New(slog.NewTextHandler(w.logFile, nil))
	on, err := choose.Decide(a.device)
	if err != nil {
		w.close(ctx)
		return nil, err
	}
	kind := search.NewKind(on)
	// The controller outlives ctx: an interrupt must still find it able to write checkpoints.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = cancel
	options := run.Options{Logger: w.log, Device: kind.Device(), Version: version(), Threads: runtime.NumCPU()}
	if read := on.Meter(); read != nil {
		options.Load = func() run.Load { return run.Load(read()) }
	}
	if w.controller, err = run.New(own, store, []run.Kind{kind, finetune.NewKind(on)}, options); err != nil {
		w.close(ctx)
		return nil, err
	}
	w.Viewer = w.controller
	return w, nil
}

// maxLog is how long the log may be when a process opens it; a longer one is put aside, in the place of the one before.
const maxLog = 16 << 20

func openLog(dir string) (*os.File, error) {
	path := filepath.Join(dir, remote.LogFile)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// close leaves the workspace; an owner first pauses what runs, at step boundaries and with checkpoints. Who is attached sees that.
func (w *workspace) close(ctx context.Context) error {
	if w.lent {
		return nil
	}
	if w.guest != nil {
		w.guest.Close()
		return nil
	}
	var errs []error
	if w.server != nil {
		w.server.StopListening()
	}
	if w.controller != nil {
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
		defer cancel()
		errs = append(errs, w.controller.Shutdown(patient))
	} else {
		errs = append(errs, w.store.Close())
	}
	if w.server != nil {
		w.server.Close()
	}
	if w.stop != nil {
		w.stop()
	}
	errs = append(errs, w.logFile.Close())
	return errors.Join(errs...)
}

// openBlob opens a weight file, whichever process owns the workspace.
func (w *workspace) openBlob(dir, hash string) (io.ReadCloser, error) {
	if w.store != nil {
		return w.store.OpenBlob(hash)
	}
	return db.OpenBlobOf(dir, hash)
}

// create starts a run, here or in the process that owns the workspace.
func (w *workspace) create(ctx context.Context, r run.Run) (run.Run, error) {
	if w.guest != nil {
		return w.guest.Create(ctx, r)
	}
	return w.controller.Create(ctx, r)
}

// snapshot is the newest picture of the workspace.
func (w *workspace) snapshot(ctx context.Context) (*run.Snapshot, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, ok := <-w.Subscribe(ctx)
	if !ok {
		return nil, errors.New("the workspace gave no snapshot; is its process ending?")
	}
	return s, nil
}

// find returns one run of the newest snapshot.
func (w *workspace) find(ctx context.Context, id string) (*run.RunView, error) {
	s, err := w.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	for i := range s.Runs {
		if s.Runs[i].ID == id {
			return &s.Runs[i], nil
		}
	}
	return nil, fmt.Errorf("there is no run %q in this workspace; `flexi runs` lists them", id)
}
