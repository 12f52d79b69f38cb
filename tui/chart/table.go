package chart

import (
	"sort"
	"strconv"
)

// Table is the chart's table form: a column for x, one per series, two per band; a row per distinct x, ascending. A cell is empty where a
// series has no value. Where a series has several values at one x, the rows follow each other.
func (c Chart) Table() (head []string, rows [][]string) {
	head, readings := c.Readings()
	for _, r := range readings {
		rows = append(rows, r.Cells)
	}
	return head, rows
}

// Reading is one row of the table form, with the x it belongs to.
type Reading struct {
	X     float64
	Cells []string
}

// Readings is Table with the values of x.
func (c Chart) Readings() (head []string, rows []Reading) {
	head = []string{c.X.Title}
	if c.X.Title == "" {
		head[0] = "x"
	}
	type value struct {
		x      float64
		column int
		y      float64
	}
	var values []value
	add := func(name string, x, y []float64) {
		head = append(head, name)
		for i := range x {
			if c.X.usable(x[i]) && c.Y.usable(y[i]) {
				values = append(values, value{x[i], len(head) - 1, y[i]})
			}
		}
	}
	for _, s := range c.Series {
		if s.Name != "" { // the others only decorate a named one
			add(s.Name, s.X, s.Y)
		}
	}
	for _, b := range c.Bands {
		add(b.Name+" low", b.X, b.Low)
		add(b.Name+" high", b.X, b.High)
	}
	sort.SliceStable(values, func(i, j int) bool { return values[i].x < values[j].x })
	var lastX float64
	for _, v := range values {
		n := len(rows)
		if n == 0 || v.x != lastX || rows[n-1].Cells[v.column] != "" {
			row := Reading{v.x, make([]string, len(head))}
			row.Cells[0] = c.X.number(v.x)
			rows, lastX, n = append(rows, row), v.x, n+1
		}
		rows[n-1].Cells[v.column] = c.Y.number(v.y)
	}
	return head, rows
}

// number writes one value in the axis' own format, or with four significant digits.
func (a Axis) number(v float64) string {
	if a.Format != nil {
		return a.Format(v)
	}
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
