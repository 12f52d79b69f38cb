package tui

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// form edits values and sends what has changed.
type form struct {
	title   string
	rows    []formRow
	at      int
	editing bool // the value under the cursor is in the line editor
	send    func(m *model, changes []string) tea.Cmd
}

type formRow struct{ key, was, now string }

// trialsKey is the row of a branch that says how many trials it takes over.
const (
	trialsKey   = "trials"
	allFinished = "all finished"
)

func formKeys() []binding {
	up := func(n int) func(*model) tea.Cmd {
		return func(m *model) tea.Cmd { m.form.at = clamp(m.form.at+n, len(m.form.rows)); return nil }
	}
	return []binding{
		{keys: []string{"up", "k", "shift+tab"}, in: inForm, group: groupDialogs, name: "previous", help: "previous value of a form", do: up(-1)},
		{keys: []string{"down", "j", "tab"}, in: inForm, group: groupDialogs, name: "next", help: "next value of a form", rank: 4, do: up(1)},
		{keys: []string{"pgup"}, in: inForm, group: groupDialogs, name: "page up", help: "ten values up", do: up(-10)},
		{keys: []string{"pgdown"}, in: inForm, group: groupDialogs, name: "page down", help: "ten values down", do: up(10)},
		{keys: []string{"enter"}, in: inForm, group: groupDialogs, name: "edit", help: "edit the marked value of a form", rank: 1, do: (*model).editField},
		{keys: []string{"enter"}, in: inField, group: groupDialogs, name: "take it", help: "take the value that was typed", rank: 1, do: (*model).takeField},
		{keys: []string{"ctrl+s"}, in: inForm | inField, group: groupDialogs, name: "send", help: "send the changes of a form", rank: 2, do: (*model).sendForm},
	}
}

func (m *model) openForm(f *form) {
	m.overlay, m.form, m.dialog = formOverlay, f, nil
}

func (m *model) editField() tea.Cmd {
	m.form.editing = true
	m.line.set(m.form.rows[m.form.at].now)
	return nil
}

func (m *model) takeField() tea.Cmd {
	m.form.editing = false
	m.form.rows[m.form.at].now = strings.TrimSpace(m.line.String())
	return nil
}

func (m *model) sendForm() tea.Cmd {
	f := m.form
	if f.editing {
		m.takeField()
	}
	var changes []string
	for _, r := range f.rows {
		switch {
		case r.now == r.was:
		case r.now == noValue:
			changes = append(changes, r.key+"=null")
		default:
			changes = append(changes, r.key+"="+r.now)
		}
	}
	m.overlay, m.form = noOverlay, nil
	return f.send(m, changes)
}

// configRows are a configuration's values as rows of a form, after the number of workers.
func configRows(r *run.RunView) []formRow {
	workers := strconv.Itoa(max(r.Run.Workers, 1))
	rows := []formRow{{"workers", workers, workers}}
	var v any
	if json.Unmarshal(r.Config, &v) == nil {
		flatten("", v, func(key, value string) {
			if key != "space_text" && !strings.Contains(key, "[") {
				rows = append(rows, formRow{key, value, value})
			}
		})
	}
	return rows
}

// editRun changes a run that goes on; what cannot change while it does is refused with the reason.
func (m *model) editRun() tea.Cmd {
	r := m.target()
	id := r.ID
	var first, rest []formRow
	for _, row := range configRows(r) {
		if row.key == "workers" || row.key == "candidates" || strings.HasPrefix(row.key, "acquisition.") {
			first = append(first, row)
		} else {
			rest = append(rest, row)
		}
	}
	m.openForm(&form{title: "change " + id, rows: append(first, rest...), send: func(m *model, changes []string) tea.Cmd {
		if len(changes) == 0 {
			m.flash = flash{"nothing was changed", dim}
			return nil
		}
		return m.send(run.Command{Verb: run.Set, Run: id, Trial: -1, Changes: changes})
	}})
	return nil
}

// editBranch makes a new run from the first trials of one, with an edited configuration.
func (m *model) editBranch(r *run.RunView) tea.Cmd {
	id := r.ID
	rows := append([]formRow{{trialsKey, allFinished, allFinished}}, configRows(r)...)
	m.openForm(&form{title: "branch " + id, rows: rows, send: func(m *model, changes []string) tea.Cmd {
		c := run.Command{Verb: run.Branch, Run: id, Trial: -1}
		for _, change := range changes {
			value, ok := strings.CutPrefix(change, trialsKey+"=")
			if !ok {
				c.Changes = append(c.Changes, change)
				continue
			}
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				m.flash = flash{fmt.Sprintf("trials: %q, must be a number or %q", value, allFinished), warn}
				return nil
			}
			c.Trial = n
		}
		return m.send(c)
	}})
	return nil
}

const formWidth = 96

func (p *painter) drawForm(area rect) {
	f := p.m.form
	box := p.overlayBox(area, min(formWidth, area.w), min(area.h, len(f.rows)+4), f.title, "enter edits, ctrl+s sends, esc")
	keyW := 8
	for _, r := range f.rows {
		keyW = max(keyW, width(r.key))
	}
	keyW = min(keyW, box.w/2)
	list := rect{box.x, box.y, box.w, max(0, box.h-2)}
	from := clamp(f.at-list.h/2, max(1, len(f.rows)-list.h+1))
	changed := 0
	for i, row := range f.rows {
		if row.now != row.was {
			changed++
		}
		if i < from || i-from >= list.h {
			continue
		}
		p.formRow(list.row(i-from), row, keyW, i == f.at)
		at := i
		p.spot(list.row(i-from), func(m *model) tea.Cmd {
			if m.form.editing {
				m.takeField()
			}
			m.form.at = at
			return nil
		})
	}
	if box.h > 2 {
		p.f.text(box.row(box.h-1), plural(changed, "change")+"; a value is JSON or plain text", dim)
	}
}

func (p *painter) formRow(r rect, row formRow, keyW int, marked bool) {
	lead, st := "  ", plain
	if marked {
		lead = p.g.cursor + " "
	}
	value := rect{r.x + keyW + 4, r.y, r.w - keyW - 4, 1}
	p.f.spans(rect{r.x, r.y, keyW + 2, 1}, span{lead, accent}, span{row.key, dim})
	if marked && p.m.form.editing {
		p.m.line.draw(p.f, value, p.g.caret)
		return
	}
	if row.now != row.was {
		p.f.spans(value, span{row.now, strong}, span{"  was " + row.was, dim})
	} else {
		p.f.text(value, row.now, st)
	}
	if marked {
		p.f.restyle(r, selected)
	}
}
