package tui

import (
	"fmt"

	"flexi/core/run"
	"flexi/tui/chart"
)

// glyphs is the repertoire of characters of a session.
type glyphs struct {
	name  string
	chart chart.Glyphs
	ascii bool

	light, heavy    border
	cursor          string // marks the selected row
	disc            string // a trial on the frontier, as in the chart
	dot             string // separates items
	arrow           string // between crumbs
	dash            string // no value
	plusMinus       string
	mean, sigma, xi string // mean, aleatoric and epistemic standard deviation
	differs         string
	chosen          string    // a layer that gets an adapter
	trends          [3]string // falls, neither, rises
	halves          [4]string // of a bar: none, left, right, both
	bound           string    // the bound of a rule across bars
	shades          string    // of a heat map, the largest last
	ellipsis        rune
	caret           string
}

// border is the characters of a box: horizontal, vertical, corners from the upper left, clockwise.
type border struct{ h, v, nw, ne, se, sw rune }

var unicodeGlyphs = glyphs{
	light: border{'─', '│', '╭', '╮', '╯', '╰'}, heavy: border{'━', '┃', '┏', '┓', '┛', '┗'},
	cursor: "▸", disc: "●", dot: "·", arrow: "›", dash: "—", plusMinus: "±", mean: "μ", sigma: "σ", xi: "ξ", differs: "≠", ellipsis: '…', caret: "▏",
	chosen: "■", trends: [3]string{"▼", "·", "▲"}, halves: [4]string{" ", "▌", "▐", "█"}, bound: "┊", shades: " ░▒▓█",
}

var asciiGlyphs = glyphs{
	ascii: true, light: border{'-', '|', '+', '+', '+', '+'}, heavy: border{'=', '#', '#', '#', '#', '#'},
	cursor: ">", disc: "o", dot: "-", arrow: ">", dash: "-", plusMinus: "+-", mean: "mean", sigma: "sd", xi: "xi", differs: "!", ellipsis: '~', caret: "_",
	chosen: "*", trends: [3]string{"v", "-", "^"}, halves: [4]string{" ", "=", "=", "="}, bound: ":", shades: " .:+#",
}

// glyphSets are the names Options.Glyphs knows, in the order that help shows.
var glyphSets = []string{"braille", "block", "ascii"}

func newGlyphs(name string) (glyphs, error) {
	g := unicodeGlyphs
	switch name {
	case "braille":
		g.chart = chart.Braille
	case "block":
		g.chart = chart.Block
	case "ascii":
		g = asciiGlyphs
		g.chart = chart.ASCII
	default:
		return g, fmt.Errorf("unknown glyphs %q; known are %v", name, glyphSets)
	}
	g.name = name
	return g, nil
}

// stateGlyphs never stand alone: the state's word is always beside them.
var stateGlyphs = map[run.State][2]string{
	run.Queued: {"○", "o"}, run.Running: {"●", "*"}, run.Pausing: {"◌", "~"}, run.Paused: {"‖", "="}, run.Stopping: {"◌", "~"},
	run.Stopped: {"■", "#"}, run.Done: {"✓", "+"}, run.Failed: {"✗", "x"}, run.Lost: {"!", "!"},
}

// sorted marks the heading of the column that a table is sorted by.
func (g glyphs) sorted(turned bool) string {
	if turned {
		return g.trends[2]
	}
	return g.trends[0]
}

func (g glyphs) state(s run.State) string {
	pair, known := stateGlyphs[s]
	if !known {
		return "?"
	}
	if g.ascii {
		return pair[1]
	}
	return pair[0]
}

// asciiFor replaces characters that titles and events of the core may hold, where only ASCII can be shown.
var asciiFor = map[rune]rune{
	'·': '.', '→': '>', '←': '<', '×': 'x', '±': '~', '−': '-', '–': '-', '—': '-', '…': '~', 'μ': 'u', 'σ': 's', 'ξ': 'x', 'α': 'a', '≤': '<', '≥': '>', '≈': '~', '“': '"', '”': '"', '’': '\'',
	'│': '|', '─': '-', '├': '+', '┬': '+', '┴': '+', '╮': '+', '╯': '+', '●': 'o',
}

func toASCII(r rune) rune {
	if r < 0x80 {
		return r
	}
	if a, ok := asciiFor[r]; ok {
		return a
	}
	return '?'
}
