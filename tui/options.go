package tui

import (
	"context"
	"io"
	"strings"
	"time"
)

// Options says how a workbench is opened. The zero value of every field is usable.
type Options struct {
	// Start is the run shown first; "" takes an active one, else the newest.
	Start string
	// In and Out are the terminal; nil takes the process's own.
	In  io.Reader
	Out io.Writer
	// Environ is the client's environment ("KEY=value"); colours and glyphs come from it.
	Environ []string
	// Actor names the person for the history of runs. ReadOnly is set for who may only look; Refused, if not nil, is told what such a person tried.
	Actor    string
	ReadOnly bool
	Refused  func(what string)
	// Sizes brings the window's sizes where Out is no terminal of this machine, beginning with Size; nil where it is one.
	Size  Size
	Sizes <-chan Size
	// Link is the way to a client elsewhere, nil for a terminal of this machine.
	Link Link
	// Places remembers where a person was; Place is their name in it. nil remembers nothing.
	Places *Places
	Place  string
	// Theme is auto (or ""), dark, light, 16 or none.
	Theme string
	// Glyphs is braille, block, ascii, or "" to choose by the environment.
	Glyphs string
	// Clock replaces time.Now.
	Clock func() time.Time
}

// Size is that of a window in characters.
type Size struct{ Width, Height int }

// Link is the way to a client elsewhere.
type Link interface {
	// Ready returns when the client has answered for what was sent to it, or when ctx ends: a slow link gets fewer pictures, not a queue of them.
	Ready(ctx context.Context)
	// Delay is how long the last answer took.
	Delay() time.Duration
}

// environment looks up variables of a client.
type environment []string

func (e environment) get(name string) string {
	for i := len(e) - 1; i >= 0; i-- { // the last one counts, as for os/exec
		if value, ok := strings.CutPrefix(e[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// glyphs is what the client's locale and terminal can show: braille needs UTF-8 and a font that the Linux console has not.
func (e environment) glyphs() string {
	locale := e.get("LC_ALL")
	for _, name := range []string{"LC_CTYPE", "LANG"} {
		if locale == "" {
			locale = e.get(name)
		}
	}
	upper := strings.ToUpper(locale)
	switch {
	case !strings.Contains(upper, "UTF-8") && !strings.Contains(upper, "UTF8"):
		return "ascii"
	case e.get("TERM") == "linux":
		return "block"
	}
	return "braille"
}

// theme is none where colour is unwanted or impossible (no-color.org), else to be asked of the terminal.
func (e environment) theme() string {
	if e.get("NO_COLOR") != "" || e.get("TERM") == "dumb" {
		return "none"
	}
	return "auto"
}
