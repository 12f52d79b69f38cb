package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"path/filepath"
	"sync"
	"time"

	"flexi/core/run"
)

// The process that owns a workspace answers the other flexi commands on a unix socket in it, with JSON-RPC 1.0.

// pollInterval is how often an attached viewer asks for the newest snapshot.
const pollInterval = 500 * time.Millisecond

func socketPath(workspace string) string { return filepath.Join(workspace, "server.sock") }

// service is the RPC face of a run.Viewer.
type service struct {
	ctx    context.Context
	viewer run.Viewer
	mu     sync.Mutex
	latest *run.Snapshot
}

// TrialRef names a trial in a call; it is exported because net/rpc wants it so.
type TrialRef struct {
	Run   string
	Trial int
}

func (s *service) Snapshot(_ struct{}, out *run.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == nil {
		return errors.New("no snapshot yet")
	}
	*out = *s.latest
	return nil
}

func (s *service) Do(c run.Command, out *run.Reply) (err error) {
	*out, err = s.viewer.Do(s.ctx, c)
	return err
}

func (s *service) Inspect(at TrialRef, out *run.Inspection) (err error) {
	*out, err = s.viewer.Inspect(s.ctx, at.Run, at.Trial)
	return err
}

func (s *service) Points(at TrialRef, out *[]run.Point) error {
	points, err := s.viewer.Points(s.ctx, at.Run, at.Trial)
	*out = append([]run.Point{}, points...) // JSON-RPC takes null for a missing result
	return err
}

// serve answers on the workspace's socket until ctx ends. The caller holds the database lock, so a socket file found here is a dead one.
func serve(ctx context.Context, workspace string, viewer run.Viewer, log *slog.Logger) error {
	path := socketPath(workspace)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen for other flexi commands on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("protect %s: %w", path, err)
	}
	s := &service{ctx: ctx, viewer: viewer}
	server := rpc.NewServer()
	if err := server.RegisterName("flexi", s); err != nil {
		l.Close()
		return err
	}
	go func() {
		for snap := range viewer.Subscribe(ctx) {
			s.mu.Lock()
			s.latest = snap
			s.mu.Unlock()
		}
	}()
	go acceptLoop(ctx, l, server, log)
	context.AfterFunc(ctx, func() { l.Close() })
	return nil
}

func acceptLoop(ctx context.Context, l net.Listener, server *rpc.Server, log *slog.Logger) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				log.Error("the control socket ended", "err", err)
			}
			return
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		go func() {
			defer stop()
			server.ServeCodec(jsonrpc.NewServerCodec(conn))
		}()
	}
}

// remote is a run.Viewer on another process's controller.
type remote struct {
	client *rpc.Client
}

// dial connects to the process that owns the workspace; os.ErrNotExist or a refused connection means that there is none.
func dial(workspace string) (*remote, error) {
	conn, err := net.DialTimeout("unix", socketPath(workspace), time.Second)
	if err != nil {
		return nil, err
	}
	return &remote{client: jsonrpc.NewClient(conn)}, nil
}

func (r *remote) call(ctx context.Context, method string, args, out any) error {
	call := r.client.Go("flexi."+method, args, out, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-call.Done:
		if errors.Is(call.Error, rpc.ErrShutdown) {
			return errors.New("the process that owns this workspace has ended")
		}
		return call.Error
	}
}

func (r *remote) snapshot(ctx context.Context) (*run.Snapshot, error) {
	s := new(run.Snapshot)
	return s, r.call(ctx, "Snapshot", struct{}{}, s)
}

// Subscribe polls; the channel closes with ctx or when the other process ends.
func (r *remote) Subscribe(ctx context.Context) <-chan *run.Snapshot {
	ch := make(chan *run.Snapshot, 1)
	go func() {
		defer close(ch)
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		for {
			s, err := r.snapshot(ctx)
			if err != nil {
				return
			}
			select {
			case <-ch: // the reader is slow: replace what it has not taken
			default:
			}
			ch <- s
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return ch
}

func (r *remote) Do(ctx context.Context, c run.Command) (reply run.Reply, err error) {
	err = r.call(ctx, "Do", c, &reply)
	return reply, err
}

func (r *remote) Inspect(ctx context.Context, id string, trial int) (in run.Inspection, err error) {
	err = r.call(ctx, "Inspect", TrialRef{id, trial}, &in)
	return in, err
}

func (r *remote) Points(ctx context.Context, id string, trial int) (p []run.Point, err error) {
	err = r.call(ctx, "Points", TrialRef{id, trial}, &p)
	return p, err
}

func (r *remote) close() { r.client.Close() }
