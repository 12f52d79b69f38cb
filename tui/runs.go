package tui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

func (p *painter) drawRuns(r rect) {
	m := p.m
	if len(m.runs) == 0 {
		p.f.text(r.row(0), "No run matches the filter "+m.filters[runsList], dim)
		return
	}
	t := table{rows: len(m.runs), marks: true, cursor: m.findListed(), columns: []column{
		{title: "", w: 1, rank: 6},
		{title: "run", w: 12},
		{title: "kind", w: 8, rank: 8},
		{title: "state", w: 10, rank: 1},
		{title: "trials", w: 9, right: true, rank: 2},
		{title: "best", w: 7, right: true, rank: 3},
		{title: "age", w: 6, right: true, rank: 5},
		{title: "spent", w: 6, right: true, rank: 4},
		{title: "parent", w: 13, rank: 9},
		{title: "note", rank: 10},
	}, cell: func(row, col int) span { return p.runCell(m.runs[row], col) }, note: func(row int) string { return p.cause(m.runs[row]) }}
	t.sort = func(m *model, col int) tea.Cmd { return m.orderRuns(runOrder(col)) } // the orders are named after the columns
	t.columns[m.sorted].title += p.g.sorted(m.turned)
	p.drawTable(r, t, p.focus == paneRuns)
}

func (p *painter) runCell(r *run.RunView, col int) span {
	switch col {
	case 0:
		if p.m.marked[r.ID] {
			return span{"*", accent}
		}
	case 1:
		if p.m.derived.run != nil && r.ID == p.m.derived.run.ID {
			return span{r.ID, strong}
		}
		return span{r.ID, plain}
	case 2:
		return span{r.Kind, plain}
	case 3:
		return span{p.g.state(r.State) + " " + string(r.State), stateStyle(r.State)}
	case 4:
		return span{progressText(r), plain}
	case 5:
		if t := bestTrial(r); t != nil {
			return span{scoreText(*t.Score), plain}
		}
		return span{p.g.dash, dim}
	case 6:
		return span{ageText(p.m.now, r.Created), dim}
	case 7:
		return span{secondsText(r.Seconds), dim}
	case 8:
		if r.Parent != "" {
			return span{fmt.Sprintf("%s@%d", r.Parent, r.ParentTrials), plain}
		}
		return span{p.g.dash, dim}
	case 9:
		return span{r.Note, plain}
	}
	return span{}
}

// cause explains a state that nobody asked for, and the way on.
func (p *painter) cause(r *run.RunView) string {
	switch r.State {
	case run.Failed:
		return r.Error
	case run.Lost:
		return "its process is gone; p resumes it from the last checkpoint"
	}
	return ""
}

// configLines is the configuration of the run under the cursor, a line per key; or, where runs are marked, what differs between them and it.
func (m *model) configLines() []textLine {
	compared := m.compared()
	switch len(compared) {
	case 0:
		return nil
	case 1:
		return configText(compared[0].Config)
	}
	return configDiff(compared)
}

// compared are the run under the cursor and the marked ones, in the order of the table; also those that a filter hides.
func (m *model) compared() []*run.RunView {
	var out []*run.RunView
	if m.snap == nil {
		return nil
	}
	for i := range m.snap.Runs {
		if r := &m.snap.Runs[i]; m.marked[r.ID] || r.ID == m.listed && m.findListed() >= 0 {
			out = append(out, r)
		}
	}
	sortRuns(out, m.sorted, m.turned)
	return out
}

// marksText says how many runs are marked.
func (m *model) marksText() string {
	n := 0
	for i := range m.snap.Runs {
		if m.marked[m.snap.Runs[i].ID] {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d marked", n)
}

func configText(raw json.RawMessage) []textLine {
	if len(raw) == 0 {
		return []textLine{oneSpan("no configuration", dim)}
	}
	keys, values, err := configValues(raw)
	if err != nil {
		return []textLine{oneSpan("unreadable configuration: "+err.Error(), bad)}
	}
	var out []textLine
	for _, key := range keys {
		out = append(out, textLine{{key + "  ", dim}, {values[key], plain}})
	}
	return out
}

// configValues are the leaves of a configuration by their dotted keys, and the keys in order.
func configValues(raw json.RawMessage) (keys []string, values map[string]string, err error) {
	values = map[string]string{}
	if len(raw) == 0 {
		return nil, values, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, values, err
	}
	flatten("", v, func(key, value string) {
		keys = append(keys, key)
		values[key] = value
	})
	return keys, values, nil
}

// configDiff lists the keys in which runs differ, with the value of each run below.
func configDiff(runs []*run.RunView) []textLine {
	union := map[string]bool{}
	all := make([]map[string]string, len(runs))
	nameW := 0
	var out []textLine
	for i, r := range runs {
		_, values, err := configValues(r.Config)
		if err != nil {
			out = append(out, oneSpan(r.ID+": unreadable configuration: "+err.Error(), bad))
		}
		for key := range values {
			union[key] = true
		}
		all[i], nameW = values, max(nameW, width(r.ID))
	}
	differ := 0
	var rows []textLine
	for _, key := range sortedKeys(union) {
		if agree(all, key) {
			continue
		}
		differ++
		rows = append(rows, oneSpan(key, strong))
		for i, r := range runs {
			value, there := all[i][key]
			if !there {
				value = noValue
			}
			rows = append(rows, textLine{{"  " + padRight(r.ID, nameW) + "  ", dim}, {value, plain}})
		}
	}
	out = append(out, oneSpan(fmt.Sprintf("%s: %s, %d the same", plural(len(runs), "run"), plural(differ, "different key"), len(union)-differ), dim))
	return append(out, rows...)
}

func agree(all []map[string]string, key string) bool {
	first, there := all[0][key]
	for _, values := range all[1:] {
		if v, ok := values[key]; v != first || ok != there {
			return false
		}
	}
	return true
}

// noValue stands for null.
const noValue = "none"

// flatten walks a JSON value and calls each leaf with its dotted key, in the order of keys; lists of plain values are leaves.
func flatten(key string, v any, leaf func(key, value string)) {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			inner := n
			if key != "" {
				inner = key + "." + n
			}
			flatten(inner, v[n], leaf)
		}
	case []any:
		if text, err := json.Marshal(v); err == nil && len(text) <= 120 {
			leaf(key, string(text))
			return
		}
		for i, e := range v {
			flatten(key+"["+strconv.Itoa(i)+"]", e, leaf)
		}
	case nil:
		leaf(key, noValue)
	default:
		leaf(key, fmt.Sprint(v))
	}
}
