package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"charm.land/ssh"
	"charm.land/wish/v2"
	gossh "golang.org/x/crypto/ssh"

	"flexi/core/run"
	"flexi/tui"
)

// Workspace is what a server shows and commands; run.Controller is one.
type Workspace interface {
	run.Viewer
	Attend(ctx context.Context, name string) error
	Create(ctx context.Context, r run.Run) (run.Run, error)
}

// Request is a command line that came over a session.
type Request struct {
	Args     []string
	Viewer   run.Viewer // commands through it carry the person's name and role
	Operator bool
	In       io.Reader
	Out, Err io.Writer
}

// Options of a Server.
type Options struct {
	// Dir is the workspace's folder; socket and host key lie in it.
	Dir       string
	Workspace Workspace
	// Owner names the person who owns the workspace, and comes over the socket.
	Owner string
	// KeysFile is the authorized_keys file.
	KeysFile string
	// Run carries out a command line and returns its exit code.
	Run func(ctx context.Context, r Request) int
	// Stop ends the process that owns the workspace; the socket may ask for it.
	Stop func()
	// Lasting is false where this process ends with its own run, so that others must not start theirs in it.
	Lasting bool
	Log     *slog.Logger
	Limits  Limits // zero fields take defaults
}

// Server lets people in.
type Server struct {
	o        Options
	ctx      context.Context // ends sessions
	cancel   context.CancelFunc
	tcp      *ssh.Server
	unix     *ssh.Server
	doors    doors
	refusals refusals
	places   *tui.Places
	sessions sync.WaitGroup
	serving  sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
}

// New makes a server that listens nowhere yet; it makes the host key if there is none.
func New(o Options) (*Server, error) {
	key, err := hostKey(filepath.Join(o.Dir, keyFile))
	if err != nil {
		return nil, err
	}
	o.Limits = o.Limits.complete()
	s := &Server{o: o, places: tui.NewPlaces()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.doors.limits, s.refusals.log = o.Limits, o.Log
	common := func(srv *ssh.Server) error {
		srv.AddHostKey(key)
		srv.HandshakeTimeout = s.o.Limits.Handshake
		srv.ChannelHandlers = map[string]ssh.ChannelHandler{"session": s.openSession, "default": s.refuseChannel}
		srv.RequestHandlers = map[string]ssh.RequestHandler{"default": s.refuseRequest}
		srv.ConnectionFailedCallback = s.failed
		return nil
	}
	serve := wish.WithMiddleware(func(ssh.Handler) ssh.Handler { return s.handle })
	if s.tcp, err = wish.NewServer(common, serve, wish.WithVersion("flexi"), wish.WithPublicKeyAuth(s.knows), s.withDoor(false)); err != nil {
		return nil, err
	}
	// Whoever can open the socket is the owner: the folder's mode is 0700, the socket's 0600. So nothing more is asked.
	s.unix, err = wish.NewServer(common, serve, wish.WithVersion("flexi"), s.withDoor(true), wish.WithSubsystem(subsystem, s.serveRPC))
	return s, err
}

// withDoor counts connections, and learns when one has proved its key.
func (s *Server) withDoor(local bool) ssh.Option {
	return func(srv *ssh.Server) error {
		srv.ConnCallback = func(ctx ssh.Context, conn net.Conn) net.Conn {
			d, why := s.doors.open(ctx, conn, local)
			if d == nil {
				s.refused(why, "remote", conn.RemoteAddr().String())
				return nil
			}
			go d.watch(s)
			return conn
		}
		srv.ServerConfigCallback = func(ctx ssh.Context) *gossh.ServerConfig {
			return &gossh.ServerConfig{AuthLogCallback: func(_ gossh.ConnMetadata, _ string, err error) {
				if err == nil {
					doorOf(ctx).authenticated()
				}
			}}
		}
		return nil
	}
}

// knows decides about a key; the proof of owning it is checked by the SSH library.
func (s *Server) knows(ctx ssh.Context, key ssh.PublicKey) bool {
	if _, ok := s.lookup(key); ok {
		return true
	}
	s.refused("unknown key", "fingerprint", gossh.FingerprintSHA256(key), "user", printable(ctx.User()), "remote", ctx.RemoteAddr().String())
	return false
}

// lookup reads the file at every login, so that adding and removing keys needs no restart.
func (s *Server) lookup(key ssh.PublicKey) (Person, bool) {
	people, warnings, err := authorized(s.o.KeysFile)
	for _, w := range warnings {
		s.refused(w)
	}
	if err != nil {
		s.refused(err.Error())
	}
	p, ok := people[string(key.Marshal())]
	return p, ok
}

func (s *Server) failed(conn net.Conn, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return // it left before anything was asked
	}
	s.refused("login failed", "remote", conn.RemoteAddr().String(), "err", err.Error())
}

// ServeSocket listens on the workspace's socket. The caller holds the workspace's lock, so a socket found there is a dead one.
func (s *Server) ServeSocket() error {
	path, release, err := socket(s.o.Dir)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		release()
		return fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		release()
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	s.serve(s.unix, l, release)
	return nil
}

// ServeTCP listens on an address such as 127.0.0.1:23234 and returns where, which matters for port 0.
func (s *Server) ServeTCP(address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for ssh: %w", err)
	}
	s.serve(s.tcp, l, func() {})
	return l.Addr(), nil
}

func (s *Server) serve(srv *ssh.Server, l net.Listener, release func()) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	s.serving.Go(func() {
		defer release()
		if err := srv.Serve(l); !errors.Is(err, ssh.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.o.Log.Error("a listener ended", "address", l.Addr().String(), "err", err)
		}
	})
}

// Busy reports whether anybody is connected.
func (s *Server) Busy() bool {
	s.doors.mu.Lock()
	defer s.doors.mu.Unlock()
	return s.doors.connections > 0
}

// StopListening lets nobody new in; who is attached stays. It frees the socket's name for the next owner of the workspace.
func (s *Server) StopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close() // it is done with, whatever it says
	}
	s.listeners = nil
}

// farewell is how long sessions have to restore their terminals; parting is how long clients have then to read why, and to leave.
const (
	farewell = 2 * time.Second
	parting  = 200 * time.Millisecond
)

// Close ends all sessions and listeners.
func (s *Server) Close() {
	s.StopListening()
	s.cancel()
	gone := make(chan struct{})
	go func() {
		s.sessions.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(farewell):
	}
	for began := time.Now(); s.Busy() && time.Since(began) < parting; {
		time.Sleep(time.Millisecond)
	}
	// Listeners that are closed twice, and connections that are gone, are no news.
	_ = s.tcp.Close()
	_ = s.unix.Close()
	s.serving.Wait()
}
