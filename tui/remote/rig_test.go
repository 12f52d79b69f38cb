package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"

	"flexi/core/run"
	"flexi/core/run/runtest"
	"flexi/tui/internal/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds a wait that would otherwise hang; nothing waits for it when all is well.
const patience = 20 * time.Second

// rig is a server on a controller whose only run trains without end, with a key for ana (operator), bo (viewer) and eve (unknown).
type rig struct {
	*Server
	t          *testing.T
	controller *run.Controller
	dir        string
	address    string
	log        *lines
	keys       map[string]gossh.Signer
	steps      atomic.Int64 // trained
	stopped    chan struct{}
	ending     sync.Once
	knownOnce  sync.Once
}

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newRig makes a server whose training takes a step at every pace.
func newRig(t *testing.T, limits Limits, pace func(context.Context)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), log: &lines{}, keys: map[string]gossh.Signer{}, stopped: make(chan struct{})}
	kind := &runtest.Kind{Steps: 1 << 40, OnStep: func(ctx context.Context, _ run.Trial, _ int) error {
		r.steps.Add(1)
		pace(ctx)
		return ctx.Err()
	}}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	var err error
	r.controller, err = run.New(context.Background(), runtest.NewMemory(), []run.Kind{kind}, run.Options{Logger: log, Device: "test", Version: "1", Threads: 1})
	require.NoError(t, err)
	_, err = r.controller.Create(t.Context(), run.Run{Kind: runtest.KindName, Budget: 10, Workers: 1, Objective: run.Objective{Name: "sum"}})
	require.NoError(t, err)
	for _, name := range []string{"ana", "bo", "eve"} {
		r.keys[name] = newKey(t, filepath.Join(r.dir, name), name)
	}
	r.authorize("operator ana", "viewer bo")
	var once sync.Once
	r.Server, err = New(Options{
		Dir: r.dir, Workspace: r.controller, Owner: "owner", KeysFile: filepath.Join(r.dir, KeysFile), Run: carryOut, Stop: func() { once.Do(func() { close(r.stopped) }) },
		Lasting: true, Log: log, Limits: limits,
	})
	require.NoError(t, err)
	require.NoError(t, r.ServeSocket())
	at, err := r.ServeTCP("127.0.0.1:0")
	require.NoError(t, err)
	r.address = at.String()
	t.Cleanup(r.end)
	return r
}

func (r *rig) end() {
	r.ending.Do(func() {
		r.StopListening()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.controller.Shutdown(ctx); err != nil {
			r.t.Error(err)
		}
		r.Close()
	})
}

// tick is a pace of a thousand steps a second at most.
func tick(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Millisecond):
	}
}

// carryOut knows two commands: verbs on a run, and one that only says what it was given.
func carryOut(ctx context.Context, r Request) int {
	if r.Args[0] == "say" {
		fmt.Fprintf(r.Out, "%q\n", r.Args[1:])
		return 0
	}
	if len(r.Args) != 2 {
		return exitUsage
	}
	reply, err := r.Viewer.Do(ctx, run.Command{ID: rand.Text(), Verb: run.Verb(r.Args[0]), Run: r.Args[1], Trial: -1, Actor: "somebody else", Time: time.Now()})
	switch {
	case err != nil:
		return exitError
	case reply.Refused:
		fmt.Fprintln(r.Err, reply.Text)
		return exitRefused
	}
	return 0
}

func newKey(t testing.TB, path, name string) gossh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := gossh.MarshalPrivateKey(key, name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	signer, err := gossh.NewSignerFromKey(key)
	require.NoError(t, err)
	public := strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey()))) + " " + name + "\n"
	require.NoError(t, os.WriteFile(path+".pub", []byte(public), 0o600))
	return signer
}

// authorize writes the keys file: lines such as "operator ana".
func (r *rig) authorize(people ...string) {
	r.t.Helper()
	var text strings.Builder
	for _, p := range people {
		role, name, _ := strings.Cut(p, " ")
		key, err := os.ReadFile(filepath.Join(r.dir, name+".pub"))
		require.NoError(r.t, err)
		fmt.Fprintf(&text, "%s %s", role, key)
	}
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, KeysFile), []byte(text.String()), 0o600))
}

// dial logs in with a key.
func (r *rig) dial(name string) *gossh.Client {
	r.t.Helper()
	c, err := gossh.Dial("tcp", r.address, r.config(gossh.PublicKeys(r.keys[name])))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) config(auth ...gossh.AuthMethod) *gossh.ClientConfig {
	key, err := hostKey(filepath.Join(r.dir, keyFile))
	require.NoError(r.t, err)
	return &gossh.ClientConfig{User: "flexi", Auth: auth, HostKeyCallback: gossh.FixedHostKey(key.PublicKey()), Timeout: patience}
}

// logs waits until the log has a line with all of some words.
func (r *rig) logs(words ...string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		for line := range strings.Lines(r.log.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	}, patience, time.Millisecond, "no line with %q", words)
}

func (r *rig) fingerprint(name string) string {
	return gossh.FingerprintSHA256(r.keys[name].PublicKey())
}

// trains checks that steps are made.
func (r *rig) trains() {
	r.t.Helper()
	from := r.steps.Load()
	require.Eventually(r.t, func() bool { return r.steps.Load() > from+2 }, patience, time.Millisecond, "training has stopped")
}

// until waits for a state of the run.
func (r *rig) until(want run.State) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for s := range r.controller.Subscribe(ctx) {
		if s.Runs[0].State == want {
			return
		}
	}
	r.t.Fatalf("the run is never %s", want)
}

// openSSH is the command line of the real client for one person.
func (r *rig) openSSH(name string, args ...string) *exec.Cmd {
	r.t.Helper()
	client, err := exec.LookPath("ssh")
	if err != nil {
		r.t.Skip("there is no OpenSSH client here")
	}
	host, port, err := net.SplitHostPort(r.address)
	require.NoError(r.t, err)
	known := filepath.Join(r.dir, "known_hosts")
	r.knownOnce.Do(func() { // clients that are starting read it
		key, err := hostKey(filepath.Join(r.dir, keyFile))
		require.NoError(r.t, err)
		line := "[" + host + "]:" + port + " " + string(gossh.MarshalAuthorizedKey(key.PublicKey()))
		require.NoError(r.t, os.WriteFile(known, []byte(line), 0o600))
	})
	fixed := []string{"-F", "none", "-p", port, "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"}
	if name != "" {
		fixed = append(fixed, "-i", filepath.Join(r.dir, name))
	}
	cmd := exec.Command(client, append(fixed, args...)...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "TERM=xterm-256color")
	return cmd
}

// sit starts the real client on a terminal; wait returns when it has ended.
func (r *rig) sit(name string, w, h int, args ...string) (term *emulator.Terminal, cmd *exec.Cmd, wait func() error) {
	r.t.Helper()
	return r.seat(r.openSSH(name, append(args, "-o", "SetEnv=LANG=C.UTF-8", "-t", "127.0.0.1")...), w, h)
}

// sitDumb is sit at a terminal that cannot be drawn on.
func (r *rig) sitDumb(name string) (term *emulator.Terminal, cmd *exec.Cmd, wait func() error) {
	cmd = r.openSSH(name, "-t", "127.0.0.1")
	cmd.Env = append(cmd.Env, "TERM=dumb")
	return r.seat(cmd, 80, 24)
}

func (r *rig) seat(cmd *exec.Cmd, w, h int) (*emulator.Terminal, *exec.Cmd, func() error) {
	r.t.Helper()
	term := emulator.New(r.t, w, h)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.Tty, term.Tty, term.Tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(r.t, cmd.Start())
	wait := sync.OnceValue(cmd.Wait)
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended if all is well
		_ = wait()
		term.Close()
	})
	return term, cmd, wait
}

// code runs a command to its end.
func code(t *testing.T, cmd *exec.Cmd) (output string, exit int) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
