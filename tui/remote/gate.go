package remote

import (
	"slices"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Only session channels exist: no forwarding of ports or sockets, in either direction.

func (s *Server) refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, ch gossh.NewChannel, ctx ssh.Context) {
	s.refused("channel "+printable(ch.ChannelType()), s.about(ctx)...)
	// The client may be gone.
	_ = ch.Reject(gossh.Prohibited, "flexi forwards nothing")
}

func (s *Server) refuseRequest(ctx ssh.Context, _ *ssh.Server, r *gossh.Request) (bool, []byte) {
	if r.Type == "tcpip-forward" || r.Type == "streamlocal-forward@openssh.com" {
		s.refused(r.Type, s.about(ctx)...)
	}
	return false, nil // which is also the usual answer to a client's keepalive
}

// about says whose connection it is.
func (s *Server) about(ctx ssh.Context) []any {
	about := []any{"remote", ctx.RemoteAddr().String()}
	if key, ok := ctx.Value(ssh.ContextKeyPublicKey).(ssh.PublicKey); ok {
		about = append(about, "fingerprint", gossh.FingerprintSHA256(key))
	}
	return about
}

// openSession begins a session within the limits; its requests pass the gate.
func (s *Server) openSession(srv *ssh.Server, conn *gossh.ServerConn, ch gossh.NewChannel, ctx ssh.Context) {
	d := doorOf(ctx)
	if why := d.enter(); why != "" {
		s.refused(why, s.about(ctx)...)
		_ = ch.Reject(gossh.ResourceShortage, why)
		return
	}
	defer d.leave()
	d.link.use(conn)
	ssh.DefaultSessionHandler(srv, conn, gated{ch, s, ctx}, ctx)
}

// gated is a channel whose requests are looked at first.
type gated struct {
	gossh.NewChannel
	server *Server
	ctx    ssh.Context
}

func (g gated) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, in, err := g.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	out := make(chan *gossh.Request)
	go func() {
		defer close(out)
		gate := gate{server: g.server, ctx: g.ctx}
		for r := range in {
			if gate.admits(r) {
				out <- r
			} else if r.WantReply {
				_ = r.Reply(false, nil)
			}
		}
	}()
	return ch, out, nil
}

// gate looks at the requests of one session.
type gate struct {
	server *Server
	ctx    ssh.Context
	env    int  // variables taken
	warned bool // of a window that is too large
}

// Bounds of what a request may hold.
const (
	maxCommand  = 64 << 10
	maxEnvValue = 64
	maxEnv      = 16
)

// taken are the client's variables that decide how things look. OpenSSH sends those that its SendEnv names.
var taken = []string{"COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR"}

func (g *gate) admits(r *gossh.Request) bool {
	switch r.Type {
	case "shell":
		return true
	case "exec":
		return g.command(r)
	case "subsystem":
		var name struct{ Value string }
		if gossh.Unmarshal(r.Payload, &name) == nil && name.Value == subsystem && doorOf(g.ctx).local {
			return true
		}
		return g.refuse("subsystem " + printable(name.Value))
	case "pty-req":
		return g.terminal(r)
	case "window-change":
		return g.resize(r)
	case "env":
		return g.variable(r)
	case "auth-agent-req@openssh.com", "x11-req":
		return g.refuse(r.Type)
	}
	return false
}

func (g *gate) refuse(what string) bool {
	g.server.refused(what, g.server.about(g.ctx)...)
	return false
}

func (g *gate) command(r *gossh.Request) bool {
	if len(r.Payload) > maxCommand {
		return g.refuse("a command line that is too long")
	}
	return true
}

func (g *gate) variable(r *gossh.Request) bool {
	var v struct{ Key, Value string }
	if gossh.Unmarshal(r.Payload, &v) != nil || !slices.Contains(taken, v.Key) || len(v.Value) > maxEnvValue || g.env >= maxEnv {
		return false // clients send what their user has; that is no attempt at anything
	}
	g.env++
	return true
}

// window is the size in requests, in characters and pixels.
type window struct{ Columns, Rows, Width, Height uint32 }

func (g *gate) bound(w *window) {
	limits := &g.server.o.Limits
	if !g.warned && (w.Columns > uint32(limits.Width) || w.Rows > uint32(limits.Height)) {
		g.warned = true
		g.server.refused("a window that is too large is treated as smaller", append(g.server.about(g.ctx), "columns", w.Columns, "rows", w.Rows)...)
	}
	w.Columns, w.Rows = min(max(w.Columns, 1), uint32(limits.Width)), min(max(w.Rows, 1), uint32(limits.Height))
}

func (g *gate) terminal(r *gossh.Request) bool {
	var pty struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if gossh.Unmarshal(r.Payload, &pty) != nil || len(pty.Term) > maxName || printable(pty.Term) != pty.Term {
		return g.refuse("a terminal request that makes no sense")
	}
	w := window{pty.Columns, pty.Rows, pty.Width, pty.Height}
	g.bound(&w)
	pty.Columns, pty.Rows = w.Columns, w.Rows
	r.Payload = gossh.Marshal(pty)
	return true
}

func (g *gate) resize(r *gossh.Request) bool {
	var w window
	if gossh.Unmarshal(r.Payload, &w) != nil {
		return false
	}
	g.bound(&w)
	r.Payload = gossh.Marshal(w)
	return true
}
