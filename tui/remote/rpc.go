package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"charm.land/ssh"

	"flexi/core/run"
)

// The commands of the workspace's owner speak JSON-RPC 1.0 with the server, over a subsystem of an SSH session on the socket.

const (
	subsystem = "flexi-rpc"
	// pollInterval is how often a follower asks for the newest snapshot.
	pollInterval = 500 * time.Millisecond
)

// service is the RPC face of a workspace.
type service struct {
	ctx    context.Context
	o      *Options
	viewer run.Viewer
	feed   <-chan *run.Snapshot
	mu     sync.Mutex
	latest *run.Snapshot
}

var errOwnRun = fmt.Errorf("the workspace is in use by process %d, which ends with its own run", os.Getpid())

// TrialRef names a trial in a call; it is exported because net/rpc wants it so.
type TrialRef struct {
	Run   string
	Trial int
}

func (s *Server) serveRPC(sess ssh.Session) {
	s.sessions.Add(1)
	defer s.sessions.Done()
	ctx, cancel := context.WithCancel(sess.Context())
	defer cancel()
	// ServeCodec ends when the channel does, which is what the end of the server has to bring about.
	defer context.AfterFunc(s.ctx, func() { cancel(); _ = sess.Close() })()
	c := &service{ctx: ctx, o: &s.o, viewer: guarded{s.o.Workspace, Person{Name: s.o.Owner, Role: Operator}, s}, feed: s.o.Workspace.Subscribe(ctx)}
	server := rpc.NewServer()
	if err := server.RegisterName("flexi", c); err != nil {
		s.o.Log.Error("serve commands", "err", err)
		return
	}
	server.ServeCodec(jsonrpc.NewServerCodec(channel{sess}))
}

// channel is a session as a connection for the codec.
type channel struct{ ssh.Session }

// Snapshot is the newest one; it shows what this client has done before.
func (c *service) Snapshot(_ struct{}, out *run.Snapshot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s *run.Snapshot
	if c.latest == nil {
		s = <-c.feed
	} else {
		select {
		case s = <-c.feed:
		default:
			s = c.latest
		}
	}
	if s == nil {
		return errors.New("the workspace is closing")
	}
	c.latest, *out = s, *s
	return nil
}

// recovered makes an error of a panic in a call, which would end the process.
func (c *service) recovered(err *error) {
	if v := recover(); v != nil {
		c.o.Log.Error("a call panicked", "panic", v, "stack", string(debug.Stack()))
		*err = fmt.Errorf("the server failed at this: %v; server.log says where", v)
	}
}

// Do commands a run.
func (c *service) Do(cmd run.Command, out *run.Reply) (err error) {
	defer c.recovered(&err)
	*out, err = c.viewer.Do(c.ctx, cmd)
	return err
}

// Create starts a run.
func (c *service) Create(r run.Run, out *run.Run) (err error) {
	defer c.recovered(&err)
	if !c.o.Lasting {
		return fmt.Errorf("%w; wait for it, or name another workspace with --workspace", errOwnRun)
	}
	*out, err = c.o.Workspace.Create(c.ctx, r)
	return err
}

// Stop ends the server.
func (c *service) Stop(_ struct{}, _ *struct{}) error {
	if !c.o.Lasting {
		return fmt.Errorf("%w; `flexi pause RUN` ends both", errOwnRun)
	}
	c.o.Log.Info("asked to end")
	c.o.Stop()
	return nil
}

// Inspect describes a trial.
func (c *service) Inspect(at TrialRef, out *run.Inspection) (err error) {
	defer c.recovered(&err)
	*out, err = c.viewer.Inspect(c.ctx, at.Run, at.Trial)
	return err
}

// Points are a trial's learning curves.
func (c *service) Points(at TrialRef, out *[]run.Point) (err error) {
	defer c.recovered(&err)
	points, err := c.viewer.Points(c.ctx, at.Run, at.Trial)
	*out = append([]run.Point{}, points...) // JSON-RPC takes null for a missing result
	return err
}

// caller is the client's end of the service.
type caller struct{ client *rpc.Client }

func newCaller(conn io.ReadWriteCloser) caller { return caller{jsonrpc.NewClient(conn)} }

func (r caller) call(ctx context.Context, method string, args, out any) error {
	call := r.client.Go("flexi."+method, args, out, make(chan *rpc.Call, 1))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-call.Done:
		if errors.Is(call.Error, rpc.ErrShutdown) || errors.Is(call.Error, io.ErrUnexpectedEOF) || errors.Is(call.Error, io.EOF) {
			return ErrEnded
		}
		return call.Error
	}
}

// Subscribe implements run.Viewer by polling; the channel closes with ctx or when the server ends.
func (r caller) Subscribe(ctx context.Context) <-chan *run.Snapshot {
	ch := make(chan *run.Snapshot, 1)
	go func() {
		defer close(ch)
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		for {
			s := new(run.Snapshot)
			if err := r.call(ctx, "Snapshot", struct{}{}, s); err != nil {
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

// Do implements run.Viewer.
func (r caller) Do(ctx context.Context, c run.Command) (reply run.Reply, err error) {
	err = r.call(ctx, "Do", c, &reply)
	return reply, err
}

// Inspect implements run.Viewer.
func (r caller) Inspect(ctx context.Context, id string, trial int) (in run.Inspection, err error) {
	err = r.call(ctx, "Inspect", TrialRef{id, trial}, &in)
	return in, err
}

// Points implements run.Viewer.
func (r caller) Points(ctx context.Context, id string, trial int) (p []run.Point, err error) {
	err = r.call(ctx, "Points", TrialRef{id, trial}, &p)
	return p, err
}

// Create starts a run in the server.
func (r caller) Create(ctx context.Context, new run.Run) (created run.Run, err error) {
	err = r.call(ctx, "Create", new, &created)
	return created, err
}

// Stop asks the server to end; its runs save checkpoints first.
func (r caller) Stop(ctx context.Context) error {
	err := r.call(ctx, "Stop", struct{}{}, &struct{}{})
	if errors.Is(err, ErrEnded) {
		return nil
	}
	return err
}
