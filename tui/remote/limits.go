package remote

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Limits bound what clients may take.
type Limits struct {
	Unauthenticated int           // connections that have not yet proved a key
	Connections     int           // connections in all
	Sessions        int           // sessions in all
	PerConnection   int           // sessions of one connection
	Handshake       time.Duration // to prove a key
	Patience        time.Duration // a client that answers nothing for so long is dropped; so is a connection without a session
	Width, Height   int           // of a window; larger ones are treated as this
}

func (l Limits) complete() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Unauthenticated, 32}, {&l.Connections, 128}, {&l.Sessions, 64}, {&l.PerConnection, 8}, {&l.Width, 512}, {&l.Height, 256}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if l.Handshake == 0 {
		l.Handshake = 10 * time.Second
	}
	if l.Patience == 0 {
		l.Patience = 30 * time.Second
	}
	return l
}

// doors counts connections and sessions.
type doors struct {
	limits Limits

	mu                              sync.Mutex
	connections, strangers, entered int
}

// door is one connection.
type door struct {
	doors *doors
	ctx   ssh.Context
	conn  net.Conn
	local bool
	link  link

	known    bool // it has proved its key; guarded by doors.mu, as the next
	sessions int
}

type doorKey struct{}

func doorOf(ctx context.Context) *door { return ctx.Value(doorKey{}).(*door) }

// open lets a connection in, or says why not.
func (d *doors) open(ctx ssh.Context, conn net.Conn, local bool) (opened *door, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.connections >= d.limits.Connections:
		return nil, "too many connections"
	case d.strangers >= d.limits.Unauthenticated:
		return nil, "too many connections that have not logged in"
	}
	d.connections++
	d.strangers++
	o := &door{doors: d, ctx: ctx, conn: conn, local: local}
	o.link = link{patience: d.limits.Patience, drop: func() { conn.Close() }}
	ctx.SetValue(doorKey{}, o)
	context.AfterFunc(ctx, o.closed)
	return o, ""
}

func (d *door) authenticated() {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	if !d.known {
		d.known = true
		d.doors.strangers--
	}
}

func (d *door) closed() {
	d.authenticated() // no stranger any more, either way
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	d.doors.connections--
}

// enter begins a session, or says why not.
func (d *door) enter() (why string) {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	switch {
	case d.sessions >= d.doors.limits.PerConnection:
		return "too many sessions on one connection"
	case d.doors.entered >= d.doors.limits.Sessions:
		return "too many sessions"
	}
	d.sessions++
	d.doors.entered++
	return ""
}

func (d *door) leave() {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	d.sessions--
	d.doors.entered--
}

// watch drops a connection that has no session, and one whose client no longer answers.
func (d *door) watch(s *Server) {
	patience := d.doors.limits.Patience
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for idle := false; ; {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		d.doors.mu.Lock()
		known, sessions := d.known, d.sessions
		d.doors.mu.Unlock()
		switch {
		case sessions > 0:
			idle = false
			d.link.Ready(d.ctx)
		case !known: // the handshake has its own deadline
		case idle:
			s.refused("a connection without a session is dropped", "remote", d.conn.RemoteAddr().String())
			d.conn.Close()
			return
		default:
			idle = true
		}
	}
}

// link learns how long the way to a client and back takes, and drops a client that answers nothing.
type link struct {
	patience time.Duration
	drop     func()

	mu    sync.Mutex
	conn  gossh.Conn // nil until a session is there
	asked chan struct{}
	delay time.Duration
}

func (l *link) use(conn gossh.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

// Ready implements tui.Link: the answer to a request comes after everything that was sent before it has been read.
func (l *link) Ready(ctx context.Context) {
	l.mu.Lock()
	if l.conn == nil {
		l.mu.Unlock()
		return
	}
	answered := l.asked
	if answered == nil {
		answered = make(chan struct{})
		l.asked = answered
		go l.ask(l.conn, answered)
	}
	l.mu.Unlock()
	select {
	case <-answered:
	case <-ctx.Done():
	}
}

func (l *link) ask(conn gossh.Conn, answered chan struct{}) {
	began := time.Now()
	late := time.AfterFunc(l.patience, l.drop)
	_, _, err := conn.SendRequest("keepalive@openssh.com", true, nil)
	late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.delay = time.Since(began)
	}
	l.asked = nil
	close(answered)
}

// Delay implements tui.Link.
func (l *link) Delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay
}

// refusals logs what was refused, but not more of it than people read.
type refusals struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time
	written int
	left    int
}

const (
	refusalSpan  = 10 * time.Second
	refusalLines = 50 // in a span
)

// refused writes a line about a refused action.
func (s *Server) refused(what string, about ...any) {
	r := &s.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.since) > refusalSpan {
		if r.left > 0 {
			r.log.Warn("refused: more of the same", "lines", r.left)
		}
		r.since, r.written, r.left = now, 0, 0
	}
	if r.written >= refusalLines {
		r.left++
		return
	}
	r.written++
	r.log.Warn("refused: "+what, about...)
}
