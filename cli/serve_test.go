package cli

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// writeKey makes a key pair at a path and returns its line of a keys file.
func writeKey(t *testing.T, path, role, name string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return role + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " " + name + "\n"
}

// served is a `flexi serve` in a folder, with an operator's and a viewer's key in it.
type served struct {
	t       *testing.T
	dir     string
	address string
	cmd     *exec.Cmd
}

func serveIn(t *testing.T, dir string) *served {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no OpenSSH client here")
	}
	keys := writeKey(t, filepath.Join(dir, "ana"), "operator", "ana") + writeKey(t, filepath.Join(dir, "bo"), "viewer", "bo")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "keys"), []byte(keys), 0o600))
	s := &served{t: t, dir: dir, cmd: flexiCommand(t, dir, "serve", "--workspace", "ws", "--ssh", "127.0.0.1:0", "--keys", "keys")}
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it has ended if all is well
		_ = s.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, rest, ok := strings.Cut(line, "ssh: ")
	require.True(t, ok, line)
	s.address, _, _ = strings.Cut(rest, ";")
	return s
}

// ssh carries out a command as a person.
func (s *served) ssh(name, input string, args ...string) (out, errs string, code int) {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.address)
	require.NoError(s.t, err)
	fixed := []string{
		"-F", "none", "-p", port, "-i", filepath.Join(s.dir, name), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", host,
	}
	cmd := exec.Command("ssh", append(fixed, args...)...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	_ = cmd.Run() // the code says it
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func (s *served) state() string {
	s.t.Helper()
	out, _, code := s.ssh("bo", "", "status", "--json")
	require.Zero(s.t, code)
	var r jsonRun
	require.NoError(s.t, json.Unmarshal([]byte(out), &r))
	return string(r.State)
}

func (s *served) until(state string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.state() == state }, 30*time.Second, 50*time.Millisecond)
}

// TestCommandsOverSSH: every view is a command, with the exit codes of the contract, and no file of the server is within reach.
func TestCommandsOverSSH(t *testing.T) {
	dir := crashDir(t)
	s := serveIn(t, dir)
	out, err := flexiCommand(t, dir, "search", "--config", "tiny.yaml", "--workspace", "ws", "--workers", "1", "--plain").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, c := range []struct {
		name, line string
		code       int
		says       string
	}{
		{"bo", "runs", 0, "search-01"},
		{"bo", "runs --json", 0, `"id":"search-01"`},
		{"bo", "status", 0, "search search-01: done"},
		{"bo", "status search-09", 1, "flexi runs"},
		{"bo", "show search-01", 0, "architecture"},
		{"bo", "show search-01 0", 0, "pooler"},
		{"bo", "show search-01 0 --json", 0, `"inspection"`},
		{"bo", "watch", 0, "search-01 is done"},
		{"bo", "help", 0, "Available Commands"},
		{"bo", "export search-01 --format xml", 2, "must be csv"},
		{"bo", "export search-01 --out /tmp/x", 3, "no files of the server"},
		{"bo", "export search-01 --format hf", 3, "no files of the server"},
		{"bo", "pause search-01", 3, "may only look"},
		{"bo", "stop search-01", 3, "may only look"},
		{"bo", "branch search-01", 3, "may only look"},
		{"bo", "backup", 3, "operator"},
		{"ana", "pause search-01", 3, "done"},
		{"ana", "branch search-01 --config /etc/passwd", 3, "no files of the server"},
		{"ana", "resume search-01 --config /etc/passwd", 3, "no files of the server"},
		{"ana", "branch search-01 --trials 2", 0, "search-02"},
		{"ana", "resume search-02 --candidates 3", 0, ""},
		{"ana", "serve --stop", 2, "unknown command"},
		{"ana", "inspect /etc/passwd", 2, "unknown command"},
		{"ana", "completion bash", 2, "unknown command"},
		{"ana", "runs --workspace /tmp", 2, "unknown flag"},
		{"ana", "runs; id", 2, "unknown command"},
	} {
		out, errs, code := s.ssh(c.name, "", c.line)
		require.Equal(t, c.code, code, "%s: %s%s", c.line, out, errs)
		require.Contains(t, out+errs, c.says, c.line)
	}
	table, _, code := s.ssh("bo", "", "export", "search-01")
	require.Zero(t, code)
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6)
	copied, _, code := s.ssh("ana", "", "backup")
	require.Zero(t, code)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "copy"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copy", "flexi.db"), []byte(copied), 0o600))
	out, err = flexiCommand(t, dir, "runs", "--workspace", "copy").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "search-01")
	talk, _, code := s.ssh("bo", "run search-01\ntrial 0\nfrontier\nsystem\nretry 0\nlog 3\nquit\n", "plain")
	require.Zero(t, code)
	for _, text := range []string{"pooler", "trial  parameters", "attached", "may look, not command"} {
		require.Contains(t, talk, text)
	}
	log, err := os.ReadFile(filepath.Join(dir, "ws", "server.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), `refused: command pause search-01`)
}

// TestTerminatedServer: SIGTERM saves checkpoints, pauses runs, and the next server goes on with them.
func TestTerminatedServer(t *testing.T) {
	dir := crashDir(t)
	s := serveIn(t, dir)
	watching, w := startSearch(t, dir) // in the server, as its guest
	s.until("running")
	require.NoError(t, watching.Process.Kill(), "a client's end is not the run's")
	require.Error(t, watching.Wait(), w.text.String())
	require.Equal(t, "running", s.state())
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.cmd.Wait())
	s = serveIn(t, dir)
	require.Equal(t, "paused", s.state())
	_, errs, code := s.ssh("ana", "", "resume search-01")
	require.Zero(t, code, errs)
	s.until("running")
	out, err := flexiCommand(t, dir, "serve", "--stop", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, s.cmd.Wait())
}

// onTerminal starts flexi on a terminal and returns when that shows a text.
func onTerminal(t *testing.T, dir, shows string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	cmd := flexiCommand(t, dir, args...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
	require.NoError(t, err)
	shown := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var text strings.Builder
		buffer, open := make([]byte, 4096), true
		for {
			n, err := tty.Read(buffer)
			text.Write(buffer[:n])
			if open && strings.Contains(text.String(), shows) {
				open = false
				close(shown)
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended if all is well
		tty.Close()
		<-ended
	})
	select {
	case <-shown:
	case <-time.After(30 * time.Second):
		t.Fatalf("%v does not show %q", args, shows)
	}
	return cmd, tty
}

// TestServerInTheBackground: a search that was started at a terminal goes on when that is closed or killed, and a second flexi attaches to it.
func TestServerInTheBackground(t *testing.T) {
	dir := crashDir(t)
	long := strings.Replace(crashConfig, "steps: 30", "steps: 10000000", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "long.yaml"), []byte(long), 0o600))
	t.Cleanup(func() { _ = flexiCommand(t, dir, "serve", "--stop", "--workspace", "ws").Run() })
	killed, _ := onTerminal(t, dir, "running", "search", "--config", "long.yaml", "--workspace", "ws", "--workers", "1")
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	left, tty := onTerminal(t, dir, "running", "--workspace", "ws")
	_, err := io.WriteString(tty, "q")
	require.NoError(t, err)
	require.NoError(t, left.Wait())
	out, err := flexiCommand(t, dir, "status", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "search-01: running")
	out, err = flexiCommand(t, dir, "serve", "--stop", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = flexiCommand(t, dir, "status", "--workspace", "ws").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "paused")
}

// TestServerThatCannotStart says why.
func TestServerThatCannotStart(t *testing.T) {
	dir := crashDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "ws"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ws", "host_key"), []byte("nonsense"), 0o600))
	out, err := flexiCommand(t, dir, "--plain", "--workspace", "ws").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "remove it for a new one")
	out, err = flexiCommand(t, dir, "serve", "--workspace", "ws2", "--ssh", "nowhere").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "listen for ssh")
}

// TestIdleServer ends by itself when nobody needs it.
func TestIdleServer(t *testing.T) {
	dir := crashDir(t)
	cmd := flexiCommand(t, dir, "serve", "--workspace", "ws", "--ssh", "off", "--idle-after", "100ms")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestTwoAtOnce: of two commands that start a server at the same time one does, and both attach to it.
func TestTwoAtOnce(t *testing.T) {
	dir := crashDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "ws"), 0o700))
	t.Cleanup(func() { _ = flexiCommand(t, dir, "serve", "--stop", "--workspace", "ws").Run() })
	var both [2]*exec.Cmd
	var said [2]strings.Builder
	for i := range both {
		both[i] = flexiCommand(t, dir, "--plain", "--workspace", "ws")
		both[i].Stdin, both[i].Stdout, both[i].Stderr = strings.NewReader("quit\n"), &said[i], &said[i]
		require.NoError(t, both[i].Start())
	}
	for i := range both {
		require.NoError(t, both[i].Wait(), said[i].String())
		require.Contains(t, said[i].String(), "text form")
	}
}
