package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"flexi/db"
	"flexi/tui/remote"
)

// Values of --ssh beside an address.
const (
	sshDefault  = "127.0.0.1:23234"
	sshOff      = "off"
	sshWithKeys = "with-keys" // sshDefault if there are keys and nobody else has taken the address
)

type serveFlags struct {
	ssh, keys string
	idle      time.Duration
	stop      bool
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Own the workspace, its runs and the SSH listener, until told to stop",
		Long: "Own the workspace: runs go on here whoever comes and goes. `flexi` starts this in the background and attaches to it.\n" +
			"Over SSH come those whose key is in the keys file, on a line such as: operator ssh-ed25519 AAAA... ana (or viewer, who may only look).\n" +
			"Ctrl-C, SIGTERM and --stop end it: runs save checkpoints and are paused.",
		Example: "flexi serve\nflexi serve --ssh 0.0.0.0:23234\nflexi serve --stop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.stop {
				return a.stopServer(cmd.Context())
			}
			return a.serve(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.ssh, "ssh", sshDefault, "address to listen on; "+sshOff+" for none, "+sshWithKeys+" for "+sshDefault+" if there are keys and it is free")
	fl.StringVar(&f.keys, "keys", "", "authorized_keys file with operator or viewer before each key (default: "+remote.KeysFile+" in the workspace)")
	fl.DurationVar(&f.idle, "idle-after", 0, "end when for so long no run was active and nobody attached; 0 for never")
	fl.BoolVar(&f.stop, "stop", false, "end the workspace's server; its runs save checkpoints and are paused")
	return cmd
}

func (a *app) serve(ctx context.Context, f serveFlags) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	w, err := a.own(ctx)
	if errors.Is(err, db.ErrHeld) {
		return fmt.Errorf("%w: %w", errRefused, err)
	} else if err != nil {
		return err
	}
	keys := f.keys
	if keys == "" {
		keys = filepath.Join(a.workspace, remote.KeysFile)
	}
	if err := w.listen(a, true, keys, stop); err != nil {
		return errors.Join(err, w.close(ctx))
	}
	where, err := w.listenSSH(f.ssh, keys)
	if err != nil {
		return errors.Join(err, w.close(ctx))
	}
	for _, n := range w.notices {
		fmt.Fprintln(a.err, "flexi:", n)
	}
	w.log.Info("serving", "ssh", where, "keys", keys, "version", version())
	fmt.Fprintf(a.out, "serving %s; ssh: %s; keys: %s\n", a.workspace, where, keys)
	if f.idle > 0 {
		go w.endWhenIdle(ctx, f.idle, stop)
	}
	<-ctx.Done()
	w.log.Info("ending")
	return w.close(ctx)
}

// listen lets other commands in through the workspace's socket. lasting is whether others may start runs here.
func (w *workspace) listen(a *app, lasting bool, keys string, stop context.CancelFunc) error {
	s, err := remote.New(remote.Options{
		Dir: a.workspace, Workspace: w.controller, Owner: actor(), KeysFile: keys, Run: w.commands(a), Stop: stop, Lasting: lasting, Log: w.log,
	})
	if err != nil {
		return err
	}
	w.server = s
	return s.ServeSocket()
}

// listenSSH says where the listener is.
func (w *workspace) listenSSH(address, keys string) (string, error) {
	if address == sshOff {
		return sshOff, nil
	}
	quiet := address == sshWithKeys
	if quiet {
		if n, err := remote.CountKeys(keys); err != nil || n == 0 {
			return sshOff, nil
		}
		address = sshDefault
	}
	at, err := w.server.ServeTCP(address)
	if quiet && errors.Is(err, syscall.EADDRINUSE) {
		w.log.Warn("nobody can come over ssh", "err", err)
		return sshOff, nil
	} else if err != nil {
		return "", err
	}
	return at.String(), nil
}

// endWhenIdle ends a server that nobody has needed for a while.
func (w *workspace) endWhenIdle(ctx context.Context, after time.Duration, stop context.CancelFunc) {
	tick := time.NewTicker(max(after/10, time.Millisecond))
	defer tick.Stop()
	for needed := time.Now(); time.Since(needed) < after; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, err := w.snapshot(ctx)
		if err != nil {
			return
		}
		busy := w.server.Busy()
		for i := range s.Runs {
			busy = busy || !ended(s.Runs[i].State)
		}
		if busy {
			needed = time.Now()
		}
	}
	w.log.Info("nobody has needed the server for a while", "after", after)
	stop()
}

func (a *app) stopServer(ctx context.Context) error {
	w, err := a.call()
	if err != nil {
		return err
	}
	if w == nil {
		fmt.Fprintf(a.out, "no server owns %s\n", a.workspace)
		return nil
	}
	defer w.close(ctx)
	if err := w.guest.Stop(ctx); err != nil {
		return err
	}
	// The connection ends when checkpoints are saved and the store is closed.
	if err := w.guest.Wait(ctx); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "the server of %s has ended; `flexi runs` lists what can be resumed\n", a.workspace)
	return nil
}
