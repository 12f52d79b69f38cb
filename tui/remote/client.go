package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// ErrEnded is returned when the server ends while somebody is attached.
var ErrEnded = errors.New("the process that owns this workspace has ended")

// Client is the owner's way to the server of a workspace, over its socket.
type Client struct {
	caller
	conn *gossh.Client
}

// dialPatience bounds the handshake with a server that hangs.
const dialPatience = 5 * time.Second

// Dial connects to the server of a workspace. An error that is fs.ErrNotExist or syscall.ECONNREFUSED means that there is none.
func Dial(workspace string) (*Client, error) {
	path, release, err := socket(workspace)
	if err != nil {
		return nil, err
	}
	defer release()
	conn, err := net.DialTimeout("unix", path, dialPatience)
	if err != nil {
		return nil, err
	}
	c, err := handshake(conn, workspace)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("talk to the server of %s: %w", workspace, err)
	}
	return c, nil
}

func handshake(conn net.Conn, workspace string) (*Client, error) {
	key, err := hostKey(filepath.Join(workspace, keyFile))
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(dialPatience)); err != nil {
		return nil, err
	}
	sc, channels, requests, err := gossh.NewClientConn(conn, workspace, &gossh.ClientConfig{User: "flexi", HostKeyCallback: gossh.FixedHostKey(key.PublicKey())})
	if err != nil {
		return nil, err
	}
	client := gossh.NewClient(sc, channels, requests)
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	calls, err := openCalls(session)
	if err != nil {
		return nil, err
	}
	return &Client{newCaller(calls), client}, conn.SetDeadline(time.Time{})
}

// calls is a session's input and output as one stream.
type calls struct {
	io.Reader
	io.WriteCloser
}

func openCalls(session *gossh.Session) (calls, error) {
	in, err := session.StdinPipe()
	if err != nil {
		return calls{}, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return calls{}, err
	}
	return calls{out, in}, session.RequestSubsystem(subsystem)
}

// Close leaves the server.
func (c *Client) Close() {
	_ = c.client.Close() // both fail only if the server has gone
	_ = c.conn.Close()
}

// Wait returns when the server has ended, or ctx has.
func (c *Client) Wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.conn.Wait() // it ends, which is all that is asked
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Exec carries out a command line in the server, without a terminal, and returns its exit code.
func (c *Client) Exec(ctx context.Context, line string, in io.Reader, out, errw io.Writer) (int, error) {
	session, err := c.conn.NewSession()
	if err != nil {
		return exitError, fmt.Errorf("attach: %w", err)
	}
	defer session.Close()
	// A session that copies its input itself would wait for that to end.
	w, err := session.StdinPipe()
	if err != nil {
		return exitError, err
	}
	session.Stdout, session.Stderr = out, errw
	if err := session.Start(line); err != nil {
		return exitError, fmt.Errorf("attach: %w", err)
	}
	go func() {
		_, _ = io.Copy(w, in) // what the session does not take any more is nobody's
		_ = w.Close()
	}()
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		return exitError, ctx.Err()
	}
	var exit *gossh.ExitError
	var missing *gossh.ExitMissingError
	switch {
	case errors.As(err, &exit):
		return exit.ExitStatus(), nil
	case errors.As(err, &missing):
		return exitError, ErrEnded
	}
	return 0, err
}

// Terminal is the local terminal of an attached person.
type Terminal struct {
	In, Out *os.File
	Environ []string
}

// Attach shows the server's workbench on a terminal until the person leaves, ctx ends, or the server does. start is the run shown first; "" lets the
// server choose.
func (c *Client) Attach(ctx context.Context, t Terminal, start string) error {
	session, err := c.conn.NewSession()
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer session.Close()
	s := &screen{Terminal: t, session: session}
	if err := s.open(start); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer s.restore()
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	var exit *gossh.ExitError
	var missing *gossh.ExitMissingError
	switch {
	case err == nil:
		s.clean = true
		return nil
	case errors.As(err, &exit):
		s.clean = true
		return ErrEnded
	case errors.As(err, &missing):
		return ErrEnded
	}
	return err
}
