//go:build unix

package remote

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"flexi/core/run"
)

// TestWorkbenchOverSSH is a person's visit: attach, look, pause, resume, resize, leave, and come back to the same place.
func TestWorkbenchOverSSH(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	term, _, wait := r.sit("ana", 80, 24)
	term.Shows("● running")
	term.Type("p")
	r.until(run.Paused)
	term.Shows("‖ paused")
	term.Type("p")
	r.until(run.Running)
	term.Shows("● running")
	term.Type("3")
	term.Shows("architecture #0")
	term.Resize(120, 36)
	term.Until(func(s string) bool {
		lines := strings.Split(s, "\n")
		return len(lines) >= 36 && strings.Contains(lines[35], "q quit")
	}, "a footer in line 36")
	term.Type("q")
	require.NoError(t, wait())
	r.trains()

	again, _, wait := r.sit("ana", 80, 24)
	again.Shows("architecture #0")
	again.Type("q")
	require.NoError(t, wait())
	r.logs("session begins", "person=ana", "role=operator", r.fingerprint("ana"))
}

// TestTwoPeople: one sees the other, and what the other does; a viewer changes nothing.
func TestTwoPeople(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	ana, _, _ := r.sit("ana", 120, 36)
	ana.Shows("● running")
	bo, _, _ := r.sit("bo", 120, 36)
	bo.Shows("ana, bo")
	ana.Shows("ana, bo")
	bo.Type("p")
	bo.Shows("read-only key")
	r.logs("refused: pause", "person=bo", "role=viewer", r.fingerprint("bo"))
	r.trains()
	ana.Type("p")
	r.until(run.Paused)
	began := time.Now()
	bo.Shows("‖ paused")
	t.Logf("seen by the other after %v", time.Since(began))
}

// TestClientDies: a killed client, and one whose terminal is gone, cost their session and nothing else.
func TestClientDies(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	term, cmd, wait := r.sit("ana", 80, 24)
	term.Shows("● running")
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, wait())
	require.Eventually(t, func() bool { return !r.Busy() }, patience, time.Millisecond)
	r.trains()
}

// TestServerEndsWhileAttached: the terminal is left as it was found, and the person is told.
func TestServerEndsWhileAttached(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	term, cmd, wait := r.sit("ana", 80, 24)
	term.Shows("● running")
	r.end()
	require.Error(t, wait())
	require.Equal(t, exitError, cmd.ProcessState.ExitCode())
	term.Shows("the server has ended")
	require.NotContains(t, term.Screen(), "● running", "the other screen is left")
}

// TestRefusedByOpenSSH: what the real client is refused.
func TestRefusedByOpenSSH(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	refused := func(name string, args ...string) string {
		t.Helper()
		out, exit := code(t, r.openSSH(name, args...))
		require.NotZero(t, exit, out)
		return out
	}
	require.Contains(t, refused("eve", "127.0.0.1", "say", "hello"), "Permission denied (publickey)")
	r.logs("refused: unknown key", r.fingerprint("eve"), "127.0.0.1")
	require.Contains(t, refused("", "-o", "PubkeyAuthentication=no", "127.0.0.1", "say"), "Permission denied (publickey)")
	r.logs("refused: login failed")

	_, exit := code(t, r.openSSH("ana", "127.0.0.1", "pause", "fake-01"))
	require.Zero(t, exit)
	r.until(run.Paused)
	_, exit = code(t, r.openSSH("bo", "127.0.0.1", "resume", "fake-01"))
	require.Equal(t, exitRefused, exit)
	r.logs("refused: resume fake-01", r.fingerprint("bo"))
	_, exit = code(t, r.openSSH("ana", "127.0.0.1", "resume", "fake-01"))
	require.Zero(t, exit)

	forward := r.openSSH("ana", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "127.0.0.1", "say")
	out, exit := code(t, forward)
	require.NotZero(t, exit, out)
	r.logs("refused: tcpip-forward", r.fingerprint("ana"))
	require.Contains(t, refused("ana", "-W", "127.0.0.1:1", "127.0.0.1"), "open failed")
	r.logs("refused: channel direct-tcpip", r.fingerprint("ana"))
	refused("ana", "-s", "127.0.0.1", "sftp")
	r.logs("refused: subsystem sftp", r.fingerprint("ana"))
	refused("ana", "-s", "127.0.0.1", subsystem)
	r.logs("refused: subsystem "+subsystem, r.fingerprint("ana"))
	refused("ana", "127.0.0.1", "scp", "-t", "/tmp")
	r.logs("refused: command scp -t /tmp", r.fingerprint("ana"))
	refused("ana", "127.0.0.1", "'")

	out, exit = code(t, r.openSSH("ana", "127.0.0.1", `say $(id) ';' a|b > x && c "d e"`))
	require.Zero(t, exit)
	require.Equal(t, `["$(id)" ";" "a|b" ">" "x" "&&" "c" "d e"]`+"\n", out, "no shell reads it")
	r.trains()
}

// TestOfferedKeyIsNotOwned: who shows an operator's public key without owning it, and then logs in with a viewer's, is a viewer.
func TestOfferedKeyIsNotOwned(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	public, err := os.ReadFile(filepath.Join(r.dir, "ana.pub"))
	require.NoError(t, err)
	shown := filepath.Join(r.dir, "shown.pub")
	require.NoError(t, os.WriteFile(shown, public, 0o600))
	out, exit := code(t, r.openSSH("", "-i", shown, "-i", filepath.Join(r.dir, "bo"), "127.0.0.1", "pause", "fake-01"))
	require.Equal(t, exitRefused, exit, out)
	require.Contains(t, out, "bo")
}

// TestKeyTakenOut: a key that was taken out of the file opens no session any more, not even on a connection that it had opened before.
func TestKeyTakenOut(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	c := r.dial("ana")
	r.authorize("viewer bo")
	s, err := c.NewSession()
	require.NoError(t, err)
	require.Error(t, s.Run("say x"))
	r.logs("refused: the key was taken out of the file", r.fingerprint("ana"))
}

// TestPlainOverSSH: the text form through pipes, and on a terminal that cannot be drawn on.
func TestPlainOverSSH(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	cmd := r.openSSH("ana", "127.0.0.1", "plain")
	cmd.Stdin = strings.NewReader("status\npause\nnote seen\nquit\n")
	out, exit := code(t, cmd)
	require.Zero(t, exit)
	require.Contains(t, out, "fake fake-01: running")
	r.until(run.Paused)

	term, cmd, wait := r.sitDumb("bo")
	term.Shows("Type help for the commands")
	term.Type("helx\x7fp\r")
	term.Shows("Your key may look, not command.")
	term.Type("resume\r")
	term.Shows("Refused")
	term.Type("\x03")
	require.NoError(t, wait())
	require.Zero(t, cmd.ProcessState.ExitCode())
}
