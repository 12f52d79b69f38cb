package remote

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	gossh "golang.org/x/crypto/ssh"

	"flexi/core/run"
)

// TestPasswords: nothing but public keys is even offered.
func TestPasswords(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	asked := func(string, string, []string, []bool) ([]string, error) {
		t.Error("it asked something")
		return nil, nil
	}
	for _, auth := range []gossh.AuthMethod{gossh.Password("secret"), gossh.KeyboardInteractive(asked), gossh.PublicKeys()} {
		_, err := gossh.Dial("tcp", r.address, r.config(auth))
		require.ErrorContains(t, err, "unable to authenticate")
	}
	r.logs("refused: login failed")
	r.trains()
}

// TestStorm: 200 connections that say nothing hold a bounded number of places, for a bounded time; who is attached and training notice nothing.
func TestStorm(t *testing.T) {
	r := newRig(t, Limits{Handshake: time.Second}, tick)
	term, _, _ := r.sit("ana", 80, 24)
	term.Shows("● running")
	var held []net.Conn
	for range 200 {
		c, err := net.Dial("tcp", r.address)
		require.NoError(t, err)
		held = append(held, c)
		defer c.Close()
	}
	r.logs("refused: too many connections that have not logged in", "127.0.0.1")
	r.doors.mu.Lock()
	require.LessOrEqual(t, r.doors.strangers, r.o.Limits.Unauthenticated)
	r.doors.mu.Unlock()
	term.Type("p")
	r.until(run.Paused)
	term.Shows("‖ paused")
	term.Type("p")
	r.until(run.Running)
	r.trains()
	for _, c := range held { // every one of them is closed by the server: the refused at once, the others after the time of a handshake
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, c)
		require.NotErrorIs(t, err, net.ErrClosed)
		require.Falsef(t, err != nil && strings.Contains(err.Error(), "timeout"), "still open: %v", err)
	}
	s, err := r.dial("bo").NewSession()
	require.NoError(t, err)
	require.NoError(t, s.Run("say hello"))
	require.Less(t, strings.Count(r.log.String(), "refused:"), 2*refusalLines, "the log does not fill")
}

// TestGarbage: bytes that are no SSH, and the beginning of it, end the connection.
func TestGarbage(t *testing.T) {
	r := newRig(t, Limits{Handshake: time.Second}, tick)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n" + strings.Repeat("\xff", 5000), strings.Repeat("a", 1<<20)} {
		c, err := net.Dial("tcp", r.address)
		require.NoError(t, err)
		_, _ = c.Write([]byte(text)) // it may be cut off
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err = io.Copy(io.Discard, c)
		require.Falsef(t, err != nil && strings.Contains(err.Error(), "timeout"), "still open: %v", err)
		c.Close()
	}
	r.logs("refused: login failed")
	r.trains()
}

// TestWindows: a window of 100,000 columns is drawn as a bounded one, at the beginning and when resized; so is one without any.
func TestWindows(t *testing.T) {
	r := newRig(t, Limits{Width: 200, Height: 60}, tick)
	s, err := r.dial("ana").NewSession()
	require.NoError(t, err)
	out := &lines{}
	s.Stdout = out
	keys, err := s.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.RequestPty("xterm", 4_000_000_000, 100_000, gossh.TerminalModes{}))
	require.NoError(t, s.Shell())
	shows := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), text) }, patience, time.Millisecond)
	}
	shows("200x60")
	r.logs("window that is too large", "columns=100000", r.fingerprint("ana"))
	for _, size := range [][2]int{{0, 0}, {1, 1}, {100_000, 100_000}, {80, 24}} {
		require.NoError(t, s.WindowChange(size[1], size[0]))
	}
	shows("80x24")
	_, err = keys.Write([]byte("q"))
	require.NoError(t, err)
	require.NoError(t, s.Wait())
	require.Less(t, len(out.String()), 1<<20)
}

// TestRequests: what a session may ask for besides is little, and bounded.
func TestRequests(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	c := r.dial("ana")
	s, err := c.NewSession()
	require.NoError(t, err)
	for name, what := range map[string]string{"auth-agent-req@openssh.com": "auth-agent-req", "x11-req": "x11-req"} {
		ok, err := s.SendRequest(name, true, nil)
		require.NoError(t, err)
		require.False(t, ok)
		r.logs("refused: "+what, r.fingerprint("ana"))
	}
	require.Error(t, s.Setenv("LD_PRELOAD", "/tmp/x.so"))
	require.Error(t, s.Setenv("LANG", strings.Repeat("x", 1000)))
	require.NoError(t, s.Setenv("LANG", "C.UTF-8"))
	require.Error(t, s.Run("say "+strings.Repeat("x", maxCommand)))
	r.logs("refused: a command line that is too long")
	for _, kind := range []string{"direct-tcpip", "direct-streamlocal@openssh.com", "tun@openssh.com", "forwarded-tcpip", "new\nline"} {
		_, _, err := c.OpenChannel(kind, nil)
		require.ErrorContains(t, err, "forwards nothing")
	}
	r.logs("refused: channel newline")
	ok, _, err := c.SendRequest("streamlocal-forward@openssh.com", true, nil)
	require.NoError(t, err)
	require.False(t, ok)
	r.logs("refused: streamlocal-forward@openssh.com")
	r.trains()
}

// TestLimits: sessions of a connection, sessions in all, connections in all, and connections without a session.
func TestLimits(t *testing.T) {
	r := newRig(t, Limits{Connections: 3, Sessions: 3, PerConnection: 2, Patience: 300 * time.Millisecond}, tick)
	stay := func(c *gossh.Client) error {
		s, err := c.NewSession()
		if err != nil {
			return err
		}
		_, err = s.StdinPipe() // kept open, so that the text form goes on
		require.NoError(t, err)
		return s.Start("plain")
	}
	one, two := r.dial("ana"), r.dial("bo")
	require.NoError(t, stay(one))
	require.NoError(t, stay(one))
	require.ErrorContains(t, stay(one), "too many sessions on one connection")
	require.NoError(t, stay(two))
	require.ErrorContains(t, stay(two), "too many sessions")
	idle := r.dial("ana")
	_, err := gossh.Dial("tcp", r.address, r.config(gossh.PublicKeys(r.keys["ana"])))
	require.Error(t, err)
	r.logs("refused: too many connections")
	ended := make(chan struct{})
	go func() { _ = idle.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("a connection without a session is kept")
	}
	r.logs("refused: a connection without a session is dropped")
	require.NoError(t, one.Close())
	require.Eventually(t, func() bool { return stay(two) == nil }, patience, 10*time.Millisecond, "places are given back")
}

// stuck is a connection whose client stops reading when told to.
type stuck struct {
	net.Conn
	stop chan struct{}
	free chan struct{}
}

func (s *stuck) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		<-s.free
		return 0, io.EOF
	default:
		return s.Conn.Read(p)
	}
}

// TestReadsNothing: a client that reads nothing is dropped when patience ends, and nobody waits for it until then.
func TestReadsNothing(t *testing.T) {
	r := newRig(t, Limits{Patience: 500 * time.Millisecond}, tick)
	conn, err := net.Dial("tcp", r.address)
	require.NoError(t, err)
	slow := &stuck{Conn: conn, stop: make(chan struct{}), free: make(chan struct{})}
	sc, channels, requests, err := gossh.NewClientConn(slow, r.address, r.config(gossh.PublicKeys(r.keys["ana"])))
	require.NoError(t, err)
	c := gossh.NewClient(sc, channels, requests)
	s, err := c.NewSession()
	require.NoError(t, err)
	_, err = s.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, s.RequestPty("xterm", 60, 200, gossh.TerminalModes{}))
	require.NoError(t, s.Shell())
	require.True(t, r.Busy())
	close(slow.stop)
	require.Eventually(t, func() bool { return !r.Busy() }, patience, time.Millisecond)
	r.trains()
	close(slow.free)
	_ = c.Close() // the server has closed it
}

// TestText: names and commands from outside do not break the lines of the log.
func TestText(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	config := r.config(gossh.PublicKeys(r.keys["eve"]))
	config.User = "eve\nlevel=INFO msg=\"all is well\"\x1b[2J"
	_, err := gossh.Dial("tcp", r.address, config)
	require.Error(t, err)
	s, err := r.dial("ana").NewSession()
	require.NoError(t, err)
	require.NoError(t, s.Run("say 'one\ntwo\x1b[2J'"))
	for line := range strings.Lines(r.log.String()) {
		require.True(t, strings.HasPrefix(line, "time="), line)
	}
	require.False(t, bytes.ContainsRune([]byte(r.log.String()), 0x1b))
}
