package tui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"flexi/core/run"
)

// rivals are the trials that the inspected one can be compared with: the one whose weights it started from, those marked in the table, and the best.
func (m *model) rivals() []int {
	t := m.trialAt(m.inspected())
	if t == nil {
		return nil
	}
	var out []int
	add := func(id int) {
		if id != t.ID && m.trialAt(id) != nil && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	add(t.Parent)
	for _, id := range m.markedTrials() {
		add(id)
	}
	add(m.derived.run.Best)
	return out
}

// rival is the trial that is compared with, nil if there is none.
func (m *model) rival() *run.Trial {
	all := m.rivals()
	if len(all) == 0 {
		return nil
	}
	return m.trialAt(all[m.against%len(all)])
}

// markedTrials are those of the run shown, in ascending order.
func (m *model) markedTrials() []int {
	var out []int
	for id, on := range m.chosen {
		if on && id.run == m.runID {
			out = append(out, id.trial)
		}
	}
	slices.Sort(out)
	return out
}

// compare brings the comparison to the front; again, it takes the next rival.
func (m *model) compare() tea.Cmd {
	if m.focused() == paneCompare {
		m.against++
	}
	m.scroll[paneCompare] = 0
	m.focusOn(paneCompare)
	return nil
}

func (m *model) cannotCompare() string {
	if m.rival() == nil {
		return "nothing to compare with: space marks trials on the overview"
	}
	return ""
}

func (m *model) markTrial() tea.Cmd {
	id := subject{m.runID, m.subject().ID}
	m.chosen[id] = !m.chosen[id]
	m.focusOn(paneTrials)
	return nil
}

// compareLines set the inspected trial beside its rival.
func (m *model) compareLines(w int) []textLine {
	t, other := m.trialAt(m.inspected()), m.rival()
	if t == nil || other == nil {
		return []textLine{oneSpan(m.cannotCompare(), dim)}
	}
	c := comparison{g: m.glyphs, name: 10, col: max(8, (w-10-2)/2)}
	if w < 50 {
		c.name, c.col = 7, max(6, (w-7-2)/2)
	}
	c.row("", fmt.Sprintf("#%d %s", t.ID, shortHash(t.Hash)), fmt.Sprintf("#%d %s", other.ID, shortHash(other.Hash)), strong, strong)
	c.numbers("score", t.Score, other.Score)
	for _, name := range sortedKeys(t.Scores) {
		a, b := t.Scores[name], math.NaN()
		if v, ok := other.Scores[name]; ok {
			b = v
		}
		c.numbers(" "+name, &a, &b)
	}
	c.texts("params", paramsText(t.Params), paramsText(other.Params))
	c.texts("expected", m.beliefText(t), m.beliefText(other))
	c.texts("trained", secondsText(t.Seconds), secondsText(other.Seconds))
	c.texts("from", m.glyphs.originText(t), m.glyphs.originText(other))
	c.texts("picked by", t.Why, other.Why)
	c.out = append(c.out, textLine{})
	c.layers(t.Layers, other.Layers)
	if n := len(m.rivals()); n > 1 {
		c.out = append(c.out, textLine{}, oneSpan(fmt.Sprintf("x compares with the next of %d: the parent, marked ones, the best", n), dim))
	}
	return c.out
}

func (m *model) beliefText(t *run.Trial) string {
	if t.Predict == nil {
		return m.glyphs.dash
	}
	return m.glyphs.predictionText(t.Predict) + " " + m.glyphs.xi + " " + m.glyphs.ignoranceText(t.Predict)
}

// comparison builds the lines of two columns.
type comparison struct {
	g         glyphs
	name, col int
	out       []textLine
}

func (c *comparison) row(name, a, b string, sa, sb style) {
	mark := span{"  ", plain}
	if name != "" && a != b {
		mark = span{c.g.differs + " ", warn}
	}
	c.out = append(c.out, textLine{{padRight(name, c.name), dim}, mark, {padRight(cut(a, c.col-1, c.g.ellipsis), c.col), sa}, {cut(b, c.col, c.g.ellipsis), sb}})
}

func (c *comparison) texts(name, a, b string) { c.row(name, a, b, plain, plain) }

// numbers also says by how much the first is larger.
func (c *comparison) numbers(name string, a, b *float64) {
	text := func(v *float64) string {
		if v == nil || math.IsNaN(*v) {
			return c.g.dash
		}
		return scoreText(*v)
	}
	left := text(a)
	if a != nil && b != nil && !math.IsNaN(*b) && *a != *b {
		left += fmt.Sprintf(" (%+.3g)", *a-*b)
	}
	c.texts(name, left, text(b))
}

// layers lays the two stacks side by side, by the names of the layers.
func (c *comparison) layers(a, b []run.LayerRow) {
	of := func(rows []run.LayerRow) map[string]run.LayerRow {
		out := map[string]run.LayerRow{}
		for i, l := range rows {
			out[layerKey(rows, i)] = l
		}
		return out
	}
	left, right := of(a), of(b)
	var names []string
	for i := range max(len(a), len(b)) { // layers of equal place stand beside each other
		for _, rows := range [][]run.LayerRow{a, b} {
			if i < len(rows) {
				if key := layerKey(rows, i); !slices.Contains(names, key) {
					names = append(names, key)
				}
			}
		}
	}
	slices.SortStableFunc(names, func(x, y string) int { return layerOrder(x) - layerOrder(y) })
	for _, name := range names {
		l, inLeft := left[name]
		r, inRight := right[name]
		c.row(name, layerText(l, inLeft, c.g), layerText(r, inRight, c.g), plain, plain)
	}
}

// layerKey names a row; projections are named after the layer before them, of which there is one at most.
func layerKey(rows []run.LayerRow, i int) string {
	if rows[i].Name == "projection" && i > 0 {
		return rows[i-1].Name + " proj"
	}
	return rows[i].Name
}

// layerOrder puts the embedding first, then the layers, the pooler last.
func layerOrder(name string) int {
	number, rest, _ := strings.Cut(name, " ")
	switch number {
	case "embedding":
		return -1
	case "pooler":
		return farAway
	}
	n := 0
	if _, err := fmt.Sscanf(number, "%d", &n); err != nil {
		return farAway - 1
	}
	if rest != "" {
		return 2*n + 1
	}
	return 2 * n
}

func layerText(l run.LayerRow, there bool, g glyphs) string {
	if !there {
		return g.dash
	}
	text := l.Op
	if l.Hidden > 0 {
		text += fmt.Sprintf(" h%d", l.Hidden)
	}
	if l.Heads > 0 {
		text += fmt.Sprintf(" n%d", l.Heads)
	}
	if l.FF != "" {
		text += " ff " + shortStack(l.FF)
	}
	return text
}

// shortStack writes feed-forward layers of equal width as "3×1024".
func shortStack(ff string) string {
	parts := strings.Split(ff, "·")
	if len(parts) < 2 || slices.ContainsFunc(parts, func(p string) bool { return p != parts[0] }) {
		return ff
	}
	return fmt.Sprintf("%d×%s", len(parts), parts[0])
}

// cut shortens text to w cells.
func cut(s string, w int, more rune) string {
	if width(s) <= w {
		return s
	}
	out, n := "", 0
	for _, r := range s {
		rw := runeWidth(r)
		if n+rw > w-1 {
			break
		}
		out, n = out+string(r), n+rw
	}
	return out + string(more)
}

// graphLines draw the network; where there is room, the rival's beside it.
func (m *model) graphLines(w int) []textLine {
	in := m.looked.inspection
	if in == nil || len(in.Graph) == 0 {
		return []textLine{oneSpan(m.pending(), dim)}
	}
	wide := 0
	for _, l := range in.Graph {
		wide = max(wide, width(l))
	}
	other := m.looked2.inspection
	if m.rival() == nil || other == nil || len(other.Graph) == 0 || w < wide+3+minFlex {
		out := make([]textLine, len(in.Graph))
		for i, l := range in.Graph {
			out[i] = m.graphLine(l)
		}
		return out
	}
	out := []textLine{{{padRight(fmt.Sprintf("#%d", m.inspected()), wide+3), strong}, {fmt.Sprintf("#%d", m.rival().ID), strong}}}
	for i := range max(len(in.Graph), len(other.Graph)) {
		left, right := "", ""
		if i < len(in.Graph) {
			left = in.Graph[i]
		}
		if i < len(other.Graph) {
			right = other.Graph[i]
		}
		gap := span{"   ", plain}
		if left != right {
			gap = span{" " + m.glyphs.differs + " ", warn}
		}
		line := append(m.graphLine(padRight(left, wide)), gap)
		out = append(out, append(line, m.graphLine(right)...))
	}
	return out
}

// graphLine shows the wires of a line faintly and its nodes and words plainly.
func (m *model) graphLine(l string) textLine {
	var out textLine
	from, wire := 0, false
	for i, r := range l {
		is := r >= 0x2500 && r < 0x2580 || r == ' '
		if i > 0 && is != wire {
			out, from = append(out, graphSpan(l[from:i], wire)), i
		}
		wire = is
	}
	if from < len(l) {
		out = append(out, graphSpan(l[from:], wire))
	}
	return out
}

func graphSpan(text string, wire bool) span {
	switch {
	case wire:
		return span{text, frameLine}
	case text == "●":
		return span{text, series0}
	}
	return span{text, plain}
}
