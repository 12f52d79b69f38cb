package tui

import (
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
	// Environ is the client's environment ("KEY=value"); colours, glyphs and the actor of commands come from it.
	Environ []string
	// InProcess says that runs live in this process: leaving pauses them, so q asks first.
	InProcess bool
	// Theme is auto (or ""), dark, light, 16 or none.
	Theme string
	// Glyphs is braille, block, ascii, or "" to choose by the environment.
	Glyphs string
	// Clock replaces time.Now.
	Clock func() time.Time
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

// actor names the person at the terminal for the history of runs.
func (e environment) actor() string {
	for _, name := range []string{"USER", "LOGNAME"} {
		if v := e.get(name); v != "" {
			return v
		}
	}
	return "someone"
}
