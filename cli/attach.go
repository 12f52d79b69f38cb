package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"flexi/core/device/choose"
	"flexi/core/run"
	"flexi/db"
	"flexi/tui/remote"
)

// idleAfter is when a server that was started in the background ends because nobody needs it.
const idleAfter = 10 * time.Minute

// startPatience bounds the wait for a server that was started in the background; a damaged database takes its time. heldPatience bounds the wait for another
// process that has the workspace and lets nobody in yet.
const (
	startPatience = time.Minute
	heldPatience  = 10 * time.Second
)

// attach makes this process a guest of the workspace's server, which it starts in the background where there is none.
func (a *app) attach(ctx context.Context) (*workspace, error) {
	if w, err := a.call(); w != nil || err != nil {
		return w, err
	}
	child, log, said, err := a.startServer()
	if err != nil {
		return nil, fmt.Errorf("start the server of %s: %w", a.workspace, err)
	}
	defer log.Close()
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	began, late := time.Now(), time.After(startPatience)
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case err := <-ended:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == exitRefused && time.Since(began) < heldPatience {
				ended = nil // another process was faster, and will let us in
				late = time.After(heldPatience)
				continue
			}
			return nil, fmt.Errorf("the server of %s did not start: %s", a.workspace, lastWords(io.NewSectionReader(log, said, maxWords), err))
		case <-late:
			return nil, fmt.Errorf("the server of %s does not answer; see %s: %s", a.workspace, log.Name(), lastWords(io.NewSectionReader(log, said, maxWords), nil))
		case <-tick.C:
		}
		// A refusal is told when the server has ended.
		if w, err := a.call(); w != nil && err == nil {
			return w, nil
		}
	}
}

// startServer starts `flexi serve` in the background. What it says is in the log, from a place on.
func (a *app) startServer() (cmd *exec.Cmd, log *os.File, said int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, 0, err
	}
	dir, err := filepath.Abs(a.workspace)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, 0, err
	}
	if log, err = os.OpenFile(filepath.Join(dir, remote.LogFile), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return nil, nil, 0, err
	}
	if said, err = log.Seek(0, io.SeekEnd); err != nil {
		log.Close()
		return nil, nil, 0, err
	}
	cmd = exec.Command(self, "serve", "--workspace", dir, "--device", a.device, "--ssh", sshWithKeys, "--idle-after", idleAfter.String())
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		log.Close()
		return nil, nil, 0, err
	}
	return cmd, log, said, nil
}

// maxWords bounds what is read of a log.
const maxWords = 64 << 10

// lastWords are what a server said before it ended.
func lastWords(said io.Reader, err error) string {
	if text, rerr := io.ReadAll(said); rerr == nil {
		if i := bytes.LastIndex(text, []byte("flexi: ")); i >= 0 {
			return string(bytes.TrimSpace(text[i+len("flexi: "):]))
		}
	}
	if err == nil {
		return "it ended"
	}
	return err.Error()
}

// open shows the workbench on the workspace, or its text form.
func (a *app) open(ctx context.Context, plain bool) error {
	if err := a.exists(); err != nil {
		return err
	}
	w, err := a.attach(ctx)
	if err != nil {
		return err
	}
	if plain || !a.terminal() {
		err = a.code(w.guest.Exec(ctx, "plain", a.in, a.out, a.err))
	} else {
		err = a.sit(ctx, w, "")
	}
	return errors.Join(err, w.close(ctx))
}

// sit shows a guest the workbench.
func (a *app) sit(ctx context.Context, w *workspace, start string) error {
	if err := w.guest.Attach(ctx, remote.Terminal{In: a.in.(*os.File), Out: a.out.(*os.File), Environ: os.Environ()}, start); err != nil {
		return err
	}
	s, err := w.snapshot(ctx)
	if err != nil {
		return nil // the server ends; nothing goes on
	}
	for i := range s.Runs {
		if r := &s.Runs[i]; !ended(r.State) {
			fmt.Fprintf(a.err, "flexi: %s goes on in the background; `flexi` looks again, `flexi serve --stop` pauses it and ends the server\n", r.ID)
		}
	}
	return nil
}

// code turns the exit code of a command that ran elsewhere into an error.
func (a *app) code(code int, err error) error {
	switch {
	case err != nil || code == exitDone:
		return err
	case code == exitRefused:
		return errRefused
	}
	return fmt.Errorf("it ended with code %d", code)
}

// host finds the process in which a run is to be trained: the owner of the workspace where there is one; where a person looks on, a server; else this process.
func (a *app) host(ctx context.Context, interactive bool) (w *workspace, err error) {
	if a.lent != nil {
		return a.lent, nil
	}
	if interactive {
		w, err = a.attach(ctx)
	} else if w, err = a.call(); w == nil && err == nil {
		if w, err = a.own(ctx); errors.Is(err, db.ErrHeld) {
			// A server that is about to listen, or a command that only looks.
			if again, cerr := a.call(); again != nil && cerr == nil {
				return again, nil
			}
		}
		if err == nil {
			err = w.listen(a, false, "", nil)
		}
	}
	if err != nil {
		return nil, err
	}
	return w, a.fits(ctx, w)
}

// fits refuses a device that the process which owns the workspace does not train on.
func (a *app) fits(ctx context.Context, w *workspace) error {
	if w.guest == nil || a.device == "auto" {
		return nil
	}
	on, err := choose.Decide(a.device)
	if err != nil {
		return err
	}
	s, err := w.snapshot(ctx)
	if err != nil {
		return err
	}
	if s.Device != on.Describe {
		return fmt.Errorf("%w: the server of %s trains on %s; end it with `flexi serve --stop` for another device", errRefused, a.workspace, s.Device)
	}
	return nil
}

// launch starts a run and shows it until it ends or the person leaves.
func (a *app) launch(ctx context.Context, r run.Run, plain bool) error {
	w, err := a.host(ctx, a.interactive(plain))
	if err != nil {
		return err
	}
	if r, err = w.create(ctx, r); err != nil {
		return errors.Join(err, w.close(ctx))
	}
	return a.watch(ctx, w, r.ID, plain)
}
