package tui

import tea "charm.land/bubbletea/v2"

// column is one column of a table.
type column struct {
	title string
	w     int  // cells; 0 takes what is left
	right bool // numbers
	rank  int  // when there is no room, the highest ranks are left out first
}

// table is a list with a cursor. cell is asked only for rows that are seen.
type table struct {
	columns []column
	rows    int
	cursor  int  // -1 for none
	marks   bool // a click on a row marks it
	from    int  // first row seen where there is no cursor
	cell    func(row, column int) span
	note    func(row int) string               // a second line below a row, "" for none; may be nil
	sort    func(m *model, column int) tea.Cmd // a click on a heading; may be nil
}

// minFlex is the least width of the column that takes what is left.
const minFlex = 16

// fit returns the columns that w has room for, and the width of the flexible one.
func (t *table) fit(w int) (kept []int, flex int) {
	dropped := map[int]bool{}
	for {
		need, worst, flexible := 2, -1, false // two cells for the cursor
		for i, c := range t.columns {
			if dropped[i] {
				continue
			}
			need += c.w + 1
			if c.w == 0 {
				need, flexible = need+minFlex, true
			}
			if worst < 0 || c.rank >= t.columns[worst].rank {
				worst = i
			}
		}
		if need-1 <= w || worst < 0 || len(dropped) == len(t.columns)-1 {
			if flexible {
				flex = w - (need - 1) + minFlex
			}
			break
		}
		dropped[worst] = true
	}
	for i := range t.columns {
		if !dropped[i] {
			kept = append(kept, i)
		}
	}
	return kept, flex
}

// drawTable draws head and rows; the cursor's row is always seen. focused draws the cursor strongly.
func (p *painter) drawTable(r rect, t table, focused bool) {
	kept, flex := t.fit(r.w)
	if r.h >= 2 {
		p.tableRow(r.row(0), t, kept, flex, func(c int) span { return span{t.columns[c].title, dim} })
		if t.sort != nil {
			t.places(r.row(0), kept, flex, func(c int, at rect) {
				p.spot(at, func(m *model) tea.Cmd { return t.sort(m, c) })
			})
		}
		r = rect{r.x, r.y + 1, r.w, r.h - 1}
	}
	from := t.window(r.h)
	y, i := 0, from
	for ; i < t.rows && y < r.h; i++ {
		row := r.row(y)
		p.tableRow(row, t, kept, flex, func(c int) span { return t.cell(i, c) })
		if id, at, cursor := p.inside, i, t.cursor; id != noPane && t.marks {
			p.spot(row, func(m *model) tea.Cmd { return m.clickRow(id, at, cursor) })
		}
		if i == t.cursor {
			p.f.text(row, p.g.cursor, accent)
			if focused {
				p.f.restyle(row, selected)
			}
		}
		y++
		if note := t.noteOf(i); note != "" && y < r.h {
			p.f.text(rect{r.x + 4, r.y + y, r.w - 4, 1}, note, bad)
			y++
		}
	}
	p.moreBelow(r, t.rows-i)
}

func (t *table) noteOf(row int) string {
	if t.note == nil {
		return ""
	}
	return t.note(row)
}

// window chooses the first row so that the cursor lies in the middle where the list allows it.
func (t *table) window(h int) int {
	if t.cursor < 0 {
		return clamp(t.from, max(1, t.rows-h+1))
	}
	if t.note == nil {
		return clamp(t.cursor-h/2, max(1, t.rows-h+1))
	}
	// Notes take rows, too: go back from the cursor as far as everything fits.
	from, used := t.cursor, t.lines(t.cursor)
	for from > 0 && used+t.lines(from-1) <= h {
		from--
		used += t.lines(from)
	}
	return from
}

func (t *table) lines(row int) int {
	if t.noteOf(row) != "" {
		return 2
	}
	return 1
}

// places calls each kept column with its cells in a row.
func (t *table) places(r rect, kept []int, flex int, each func(c int, at rect)) {
	x := r.x + 2
	for _, c := range kept {
		w := t.columns[c].w
		if w == 0 {
			w = flex
		}
		w = min(w, r.x+r.w-x)
		each(c, rect{x, r.y, w, 1})
		x += w + 1
	}
}

func (p *painter) tableRow(r rect, t table, kept []int, flex int, cell func(c int) span) {
	t.places(r, kept, flex, func(c int, at rect) {
		s := cell(c)
		if n := width(s.text); t.columns[c].right && n < at.w {
			at.x, at.w = at.x+at.w-n, n
		}
		p.f.text(at, s.text, s.st)
	})
}
