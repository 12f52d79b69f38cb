package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"flexi/core/device/choose"
	"flexi/core/run"
	"flexi/core/search"
	"flexi/db"
)

// shutdownPatience bounds how long leaving waits for trainings to reach a step boundary and save a checkpoint.
const shutdownPatience = 2 * time.Minute

// workspace is this process's hold on a workspace: as its owner, or as a guest of the process that owns it.
type workspace struct {
	run.Viewer
	store      *db.Store       // nil for a guest
	controller *run.Controller // nil for a guest
	guest      *remote         // nil for the owner
	stop       context.CancelFunc
	logFile    *os.File
	notices    []string // what opening the store had to repair
}

// visit opens the workspace for looking and commanding: as a guest if another process owns it, else as its owner for the moment.
func (a *app) visit(ctx context.Context) (*workspace, error) {
	if r, err := dial(a.workspace); err == nil {
		return &workspace{Viewer: r, guest: r}, nil
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("reach the process that owns %s: %w", a.workspace, err)
	}
	if _, err := os.Stat(a.workspace); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no workspace at %s; start one with `flexi search --demo`, or name it with --workspace", a.workspace)
	}
	return a.own(ctx)
}

// own opens the workspace for training.
func (a *app) own(ctx context.Context) (*workspace, error) {
	store, err := db.Open(a.workspace, db.Options{})
	if err != nil {
		return nil, err
	}
	w := &workspace{store: store, notices: store.Notices()}
	if w.logFile, err = os.OpenFile(filepath.Join(a.workspace, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		store.Close()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	log := slog.New(slog.NewTextHandler(w.logFile, nil))
	on, err := choose.Decide(a.device)
	if err != nil {
		w.close(ctx)
		return nil, err
	}
	kind := search.NewKind(on)
	// The controller outlives ctx: an interrupt must still find it able to write checkpoints.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = cancel
	if w.controller, err = run.New(own, store, []run.Kind{kind}, run.Options{Logger: log, Device: kind.Device(), Version: version(), Threads: runtime.NumCPU()}); err != nil {
		w.close(ctx)
		return nil, err
	}
	w.Viewer = w.controller
	if err := serve(own, a.workspace, w.controller, log); err != nil {
		log.Warn("other flexi commands cannot reach this process", "err", err)
	}
	return w, nil
}

// close leaves the workspace; an owner first pauses what runs, at step boundaries and with checkpoints.
func (w *workspace) close(ctx context.Context) error {
	if w.guest != nil {
		w.guest.close()
		return nil
	}
	var errs []error
	if w.controller != nil {
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
		defer cancel()
		errs = append(errs, w.controller.Shutdown(patient))
	} else {
		errs = append(errs, w.store.Close())
	}
	if w.stop != nil {
		w.stop()
	}
	errs = append(errs, w.logFile.Close())
	return errors.Join(errs...)
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
