package tui

import (
	"fmt"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"flexi/core/run"
	"flexi/tui/chart"
)

// style names what a piece of text means; a theme gives it a look.
type style uint8

// Styles. Colour repeats what glyphs, words and positions say already, and never says anything alone.
const (
	plain style = iota
	dim
	strong
	frameLine
	frameFocus
	good
	warn
	bad
	accent
	selected
	series0
	series1
	series2
	series3
	faint
	mark
	bandInner
	bandOuter
	styles // how many there are
)

// theme is a look: the escape sequence that switches each style on; "" leaves text as it is.
type theme struct {
	name string
	sgr  [styles]string
}

// themes are the names Options.Theme knows, in the order that help shows; auto asks the terminal.
var themes = []string{"auto", "dark", "light", "16", "none"}

// Colours after Okabe and Ito, which people with any common colour blindness tell apart; darkened for light backgrounds.
var (
	darkPalette  = palette{dim: "#8f8f8f", line: "#5f5f5f", good: "#2fbf92", warn: "#e69f00", bad: "#ff7a3d", accent: "#56b4e9", purple: "#dd96c0", fourth: "#f0e442", inner: "#4f86a8", outer: "#3f5a6b"}
	lightPalette = palette{dim: "#666666", line: "#9a9a9a", good: "#00694d", warn: "#8a5a00", bad: "#800020", accent: "#005a92", purple: "#93447a", fourth: "#7010e0", inner: "#6d9cba", outer: "#a9c0ce"}
)

type palette struct{ dim, line, good, warn, bad, accent, purple, fourth, inner, outer string }

func newTheme(name string) (theme, error) {
	switch name {
	case "dark":
		return darkPalette.theme(name), nil
	case "light":
		return lightPalette.theme(name), nil
	case "16":
		return sixteen(), nil
	case "none":
		return theme{name: name}, nil
	}
	return theme{}, fmt.Errorf("unknown theme %q; known are %v", name, themes)
}

func (p palette) theme(name string) theme {
	fg := func(hex string) ansi.Style { return ansi.NewStyle().ForegroundColor(lipgloss.Color(hex)) }
	t := theme{name: name}
	for st, look := range map[style]ansi.Style{
		dim: fg(p.dim), strong: ansi.NewStyle().Bold(), frameLine: fg(p.line), frameFocus: fg(p.accent).Bold(), good: fg(p.good), warn: fg(p.warn), bad: fg(p.bad).Bold(),
		accent: fg(p.accent), selected: ansi.NewStyle().Reverse(true), series0: fg(p.accent), series1: fg(p.warn), series2: fg(p.purple), series3: fg(p.fourth),
		faint: fg(p.dim), mark: fg(p.warn).Bold(), bandInner: fg(p.inner), bandOuter: fg(p.outer),
	} {
		t.sgr[st] = look.String()
	}
	return t
}

// sixteen uses the terminal's own sixteen colours, which its owner has chosen to be readable. Bright black is the background in some palettes, so
// what is less important is faint instead.
func sixteen() theme {
	fg := func(c ansi.BasicColor) ansi.Style { return ansi.NewStyle().ForegroundColor(c) }
	t := theme{name: "16"}
	for st, look := range map[style]ansi.Style{
		dim: ansi.NewStyle().Faint(), strong: ansi.NewStyle().Bold(), frameLine: ansi.NewStyle().Faint(), frameFocus: fg(ansi.Cyan).Bold(), good: fg(ansi.Green), warn: fg(ansi.Yellow),
		bad: fg(ansi.Red).Bold(), accent: fg(ansi.Cyan), selected: ansi.NewStyle().Reverse(true), series0: fg(ansi.Cyan), series1: fg(ansi.Yellow), series2: fg(ansi.Magenta),
		series3: fg(ansi.Green), faint: ansi.NewStyle().Faint(), mark: fg(ansi.Yellow).Bold(), bandInner: fg(ansi.Blue), bandOuter: ansi.NewStyle().Faint(),
	} {
		t.sgr[st] = look.String()
	}
	return t
}

// roleStyles are the looks of a chart's parts.
var roleStyles = map[chart.Role]style{
	chart.Frame: frameLine, chart.Label: dim, chart.Line0: series0, chart.Line1: series1, chart.Line2: series2, chart.Line3: series3,
	chart.Faint: faint, chart.Mark: mark, chart.Inner: bandInner, chart.Outer: bandOuter,
}

func stateStyle(s run.State) style {
	switch s {
	case run.Running, run.Done:
		return good
	case run.Failed, run.Lost:
		return bad
	case run.Pausing, run.Paused, run.Stopping:
		return warn
	}
	return dim
}
