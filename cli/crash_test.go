package cli

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// flexiCommand runs this test binary as flexi: the name it is called by is what testscript.Main looks at.
func flexiCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(dir, "flexi")
	if _, err := os.Lstat(link); os.IsNotExist(err) {
		require.NoError(t, os.Symlink(self, link))
	}
	cmd := exec.Command(link, args...)
	cmd.Dir = dir
	return cmd
}

const crashConfig = `
preset: demo
space: few.yaml
candidates: 5
initial: 2
levels: [1]
pretrain: {steps: 30, batch: 4}
finetune: {epochs: 1, batch: 8, limit: 32}
checkpoint_seconds: 0.05
`

const crashSpace = `
name: few
layers: [1, 2]
stack: 1
hidden: [32]
heads: [2]
operations: {self_attention: [sdp], linear_transform: [dft]}
feed_forward: {depths: [1], widths: [32, 64]}
`

func crashDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tiny.yaml"), []byte(crashConfig), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "few.yaml"), []byte(crashSpace), 0o600))
	return dir
}

// results are the columns of the exported table that must not depend on interruptions.
func results(t *testing.T, dir string) [][]string {
	t.Helper()
	out, err := flexiCommand(t, dir, "export", "search-01", "--workspace", "ws").Output()
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	require.NoError(t, err)
	for i := range rows {
		rows[i][5] = "" // seconds
	}
	return rows
}

// startSearch starts a search that would take hours and returns once it has proposed its first candidate.
func startSearch(t *testing.T, dir string) (*exec.Cmd, *watcher) {
	t.Helper()
	long := strings.Replace(crashConfig, "steps: 30", "steps: 10000000", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long.yaml"), []byte(long), 0o600))
	cmd := flexiCommand(t, dir, "search", "--config", "long.yaml", "--workspace", "ws", "--workers", "1", "--plain")
	w := &watcher{pattern: regexp.MustCompile(`pick #0`), seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = w, w
	require.NoError(t, cmd.Start())
	<-w.seen
	return cmd, w
}

type watcher struct {
	pattern *regexp.Regexp
	text    strings.Builder
	seen    chan struct{}
	done    bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.text.Write(p)
	if !w.done && w.pattern.MatchString(w.text.String()) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}

// TestInterruptPauses sends SIGINT: the search saves a checkpoint, says how to go on, and exits with 130.
func TestInterruptPauses(t *testing.T) {
	dir := crashDir(t)
	cmd, w := startSearch(t, dir)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitInterrupted, exit.ExitCode(), w.text.String())
	out, err := flexiCommand(t, dir, "runs", "--workspace", "ws", "--json").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), `"state":"paused"`)
}

// TestPauseFromAnotherProcess commands a running search through the workspace's socket.
func TestPauseFromAnotherProcess(t *testing.T) {
	dir := crashDir(t)
	cmd, w := startSearch(t, dir)
	out, err := flexiCommand(t, dir, "status", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "running")
	out, err = flexiCommand(t, dir, "show", "search-01", "0", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "pooler")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "copy"), 0o700))
	out, err = flexiCommand(t, dir, "backup", "copy/flexi.db", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = flexiCommand(t, dir, "runs", "--workspace", "copy").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "lost", "to the copy, the process that owns the run has ended")
	out, err = flexiCommand(t, dir, "search", "--config", "tiny.yaml", "--workspace", "ws", "--plain").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "in use by process")
	out, err = flexiCommand(t, dir, "pause", "search-01", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, cmd.Wait(), w.text.String())
	require.Contains(t, w.text.String(), "flexi resume search-01")
}

// TestDamagedDatabase flips bytes in the database: it is reported and repaired from the backup that a finished session left, never shown as
// if nothing had happened.
func TestDamagedDatabase(t *testing.T) {
	dir := crashDir(t)
	out, err := flexiCommand(t, dir, "search", "--config", "tiny.yaml", "--workspace", "ws", "--workers", "1", "--plain").CombinedOutput()
	require.NoError(t, err, string(out))
	want := results(t, dir)
	path := filepath.Join(dir, "ws", "flexi.db")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := 0; i < len(data); i += 512 {
		data[i] ^= 0xff
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
	out, err = flexiCommand(t, dir, "runs", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "flexi.db.bad")
	require.Contains(t, string(out), "search-01")
	require.Equal(t, want, results(t, dir))
}

// TestFullDisk searches on a file system that is too small: the run ends with a clear error, and what was stored before can be read.
func TestFullDisk(t *testing.T) {
	dir := crashDir(t)
	mount := filepath.Join(dir, "small")
	require.NoError(t, os.Mkdir(mount, 0o700))
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=600k"); err != nil {
		t.Skipf("needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(mount, syscall.MNT_DETACH)) })
	out, err := flexiCommand(t, dir, "search", "--config", "tiny.yaml", "--workspace", "small/ws", "--workers", "1", "--plain").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "no space left on device")
	require.NotContains(t, string(out), "panic")

	require.NoError(t, syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
	out, err = flexiCommand(t, dir, "runs", "--workspace", "small/ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "search-01")
}
