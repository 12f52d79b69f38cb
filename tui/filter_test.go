package tui

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"flexi/core/run"
)

func TestFilter(t *testing.T) {
	score := 0.75
	trial := trialRecord{&run.Trial{ID: 12, Hash: "abcdef", Title: "4 layers, sa·l", State: run.Done, Score: &score, Params: 11_360_000, Parent: 3, Overlap: 0.8, Why: "uncertainty", Layers: []run.LayerRow{{Op: "sa·wma"}, {Op: "l·dct"}}, Scores: map[string]float64{"CoLA": 0.3}}}
	bare := trialRecord{&run.Trial{ID: 13, State: run.Failed, Params: 4_000_000, Parent: -1, Error: "out of memory"}}
	cases := []struct {
		filter      string
		trial, bare bool
	}{
		{"", true, true},
		{"state:done", true, false},
		{"state:done|failed", true, true},
		{"-state:failed", true, false},
		{"op:wma", true, false},
		{"params<12M", true, true},
		{"params<=4M", false, true},
		{"params>11.3M", true, false},
		{"score>0.7", true, false},
		{"score<2", true, false},
		{"score>=0.75 op:dct", true, false},
		{"memory", false, true},
		{"MEMORY", false, true},
		{"#12", true, false},
		{"parent:3", true, false},
		{"overlap>0.5", true, false},
		{"why:uncert", true, false},
		{"task:cola", true, false},
		{"nothing", false, false},
		{"-nothing", true, true},
		{"trial>=13", false, true},
		{`":odd"`, false, false},
		{"state = done and params < 12M", true, false},
		{"state=done or state=failed", true, true},
		{"memory or op:dct", true, true},
		{"state:done params<4M or trial:13", false, true},
		{"(state:done or state:failed) params>5M", true, false},
		{"not (state:done or memory)", false, false},
		{"-(state:done memory)", true, true},
		{`"out of memory"`, false, true},
		{`-"out of memory"`, true, false},
		{`"or"`, false, true},
		{"state!=done", false, true},
		{"state=don", false, false},
		{"state:don", true, false},
		{"parent!=3", false, true},
		{"trial:1", false, false},
		{"trial:12|13", true, true},
		{"trial=1", false, false},
		{"trial!=12|14", false, true},
		{"not not state:done", true, false},
		{"--state:done", true, false},
		{"done OR failed", true, true},
		{"-", false, false},
	}
	for _, c := range cases {
		f, err := parseFilter(c.filter, trialFields)
		require.NoError(t, err, c.filter)
		require.Equal(t, c.trial, f.match(trial), "%q on the finished trial", c.filter)
		require.Equal(t, c.bare, f.match(bare), "%q on the failed trial", c.filter)
	}
}

// What is wrong is said with its place.
func TestFilterErrors(t *testing.T) {
	cases := []struct {
		filter string
		column int
		says   string
	}{
		{"size<5", 1, `no field "size" here, but state, why, op, hash, task, trial, score, params, seconds, parent, overlap, level`},
		{"state:done params<big", 19, "params< needs a number, such as params<12M"},
		{"memory state<5", 13, "state is text: write state:5"},
		{"params<", 8, "a value is missing after params<"},
		{"params<(5)", 8, "a value is missing after params<"},
		{"params<4M|5M", 8, "< compares with one value, not with any of 4M|5M"},
		{"(a or b", 1, "the closing ) is missing"},
		{"a or b)", 7, "there is no ( for this )"},
		{"()", 2, "nothing stands before this )"},
		{"ü or", 5, "something to look for is missing"},
		{"or a", 1, `something to look for must stand before "or"; to look for it, write it in quotes`},
		{"not", 4, "something to look for is missing"},
		{"界 <5", 1, `no field "界" here, but ` + trialFields.String()},
		{":odd", 1, "a field must stand before :; text with it is written in quotes"},
		{`a "b`, 3, `the closing " is missing`},
		{"a !b", 3, "! stands before = only; not, or - before a term, turns it round"},
	}
	for _, c := range cases {
		_, err := parseFilter(c.filter, trialFields)
		var wrong *filterError
		require.ErrorAs(t, err, &wrong, c.filter)
		require.Equal(t, filterError{c.column, c.says}, *wrong, c.filter)
	}
	_, err := parseFilter("level>=loud", eventFields)
	require.EqualError(t, err, "column 8: level is one of info, warn, error")
}

// A run is also filtered by its own configuration.
func TestFilterByConfiguration(t *testing.T) {
	r := runRecord{&run.RunView{Best: -1, Run: run.Run{ID: "search-07", Config: []byte(`{"policy":"boshnas","pretrain":{"lr":5e-4,"steps":600},"tasks":["CoLA"]}`)}}}
	for filter, want := range map[string]bool{
		"config.policy=boshnas": true, "config.policy:tpe": false, "CONFIG.Pretrain.Steps>=600": true, "config.pretrain.lr<1e-3": true, "config.pretrain.lr>1e-3": false,
		"config.tasks:cola": true, "config.nothing:x": false, "config.nothing>0": false, "config.policy>0": false, "run:07": true, "config.policy!=tpe": true,
	} {
		f, err := parseFilter(filter, runFields)
		require.NoError(t, err, filter)
		require.Equal(t, want, f.match(r), filter)
	}
	broken := runRecord{&run.RunView{Run: run.Run{Config: []byte(`{"broken`)}}}
	f, err := parseFilter("config.policy=boshnas", runFields)
	require.NoError(t, err)
	require.False(t, f.match(broken))
}

// Any expression, written with as many brackets and blanks as chance wants, means what its parts mean together.
func TestFilterGrammar(t *testing.T) {
	rows := []*run.Trial{}
	for i := range 8 {
		rows = append(rows, &run.Trial{ID: i, Params: int64(i * 1000), State: []run.State{run.Done, run.Failed}[i%2], Parent: -1})
	}
	rapid.Check(t, func(rt *rapid.T) {
		text, means := drawFilter(rt, 4)
		f, err := parseFilter(text, trialFields)
		require.NoError(rt, err, text)
		for _, r := range rows {
			require.Equal(rt, means(r), f.match(trialRecord{r}), "%s on %+v", text, r)
		}
	})
}

// drawFilter draws an expression and what it means.
func drawFilter(rt *rapid.T, depth int) (string, func(*run.Trial) bool) {
	form := rapid.IntRange(0, 4).Draw(rt, "form")
	if depth == 0 {
		form %= 2
	}
	switch form {
	case 0:
		n := rapid.IntRange(0, 8).Draw(rt, "bound")
		op := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "=", "!=", ":"}).Draw(rt, "op")
		blank := rapid.SampledFrom([]string{"", " ", "  "}).Draw(rt, "blank")
		return "trial" + blank + op + blank + strconv.Itoa(n), func(t *run.Trial) bool {
			return map[string]bool{"<": t.ID < n, "<=": t.ID <= n, ">": t.ID > n, ">=": t.ID >= n, "=": t.ID == n, ":": t.ID == n, "!=": t.ID != n}[op]
		}
	case 1:
		word := rapid.SampledFrom([]string{"done", "failed", "DONE"}).Draw(rt, "word")
		return word, func(t *run.Trial) bool { return strings.EqualFold(string(t.State), word) }
	case 2:
		a, left := drawFilter(rt, depth-1)
		not := rapid.SampledFrom([]string{"-", "not ", "not"}).Draw(rt, "not")
		return not + "(" + a + ")", func(t *run.Trial) bool { return !left(t) }
	}
	a, left := drawFilter(rt, depth-1)
	b, right := drawFilter(rt, depth-1)
	if form == 3 {
		and := rapid.SampledFrom([]string{" ", " and ", " AND "}).Draw(rt, "and")
		return "(" + a + ")" + and + "(" + b + ")", func(t *run.Trial) bool { return left(t) && right(t) }
	}
	return "((" + a + ") or " + b + ")", func(t *run.Trial) bool { return left(t) || right(t) }
}

func TestFilterOtherLists(t *testing.T) {
	m := newTest(t, 80, 24, Options{})
	do(t, m, "2")
	do(t, m, append(append([]string{"/"}, typing("state:lost|failed")...), "enter")...)
	require.Len(t, m.runs, 2)
	do(t, m, "5")
	do(t, m, append(append([]string{"/"}, typing("kind:command by:ana")...), "enter")...)
	require.Len(t, m.log, 2)
	do(t, m, append(append([]string{"/"}, typing("x")...), "esc")...)
	require.Greater(t, len(m.log), 50, "esc in the filter takes it away")
}

func TestLineEditor(t *testing.T) {
	var l lineEditor
	l.insert("hello wide\n world")
	require.Equal(t, "hello wide world", l.String(), "control characters are not typed")
	for _, k := range []string{"ctrl+w", "backspace", "home", "delete", "right"} {
		require.True(t, l.key(k))
	}
	l.insert("界")
	require.Equal(t, "e界llo wide", l.String())
	require.True(t, l.key("ctrl+u"))
	require.Equal(t, "llo wide", l.String())
	require.True(t, l.key("end"))
	require.True(t, l.key("left"))
	require.True(t, l.key("ctrl+w"))
	require.Equal(t, "llo e", l.String())
	require.False(t, l.key("f1"))
}
