package tui

import (
	"testing"

	"github.com/stretchr/testify/require"

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
		{":odd", false, false},
	}
	for _, c := range cases {
		f, err := parseFilter(c.filter, trialFields)
		require.NoError(t, err, c.filter)
		require.Equal(t, c.trial, f.match(trial), "%q on the finished trial", c.filter)
		require.Equal(t, c.bare, f.match(bare), "%q on the failed trial", c.filter)
	}
	for filter, says := range map[string]string{
		"size<5": `there is no field "size"; fields here: state, why, op, hash, task, trial, score, params, seconds, parent, overlap, level`, "params<big": "params< needs a number, such as params<12M", "state<5": "state is text: write state:5",
	} {
		_, err := parseFilter(filter, trialFields)
		require.EqualError(t, err, says)
	}
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
