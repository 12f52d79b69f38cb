package tui

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"flexi/core/selection"
)

// Width of a column of bars: mark, number, value and trend, and at least so much bar.
const (
	barFrame = 16
	barLeast = 6
)

// drawAlphas draws a bar per layer, in as many columns as are needed and fit, and what is chosen below.
func (p *painter) drawAlphas(r rect) {
	m, s := p.m, p.m.layers
	n := s.n()
	switch {
	case n == 0:
		p.f.text(r.row(0), "No layers are known yet.", dim)
		return
	case m.tables[paneAlphas]:
		p.drawAlphaTable(r, s)
		return
	}
	if r.h > 3 {
		p.f.spans(r.row(r.h-1), p.m.chosenLine(s)...)
		r.h--
	}
	columns := clampTo((n+r.h-1)/max(r.h, 1), 1, max(1, r.w/(barFrame+barLeast)))
	perColumn := min(r.h, (n+columns-1)/columns)
	cursor := clamp(m.scroll[paneAlphas], n)
	first := 0
	if seen := perColumn * columns; seen < n {
		first = clampTo(cursor-seen/2, 0, n-seen)
	}
	w := r.w / columns
	scale := barScale(s)
	for i := range perColumn * columns {
		layer := first + i
		if layer >= n {
			break
		}
		at := rect{r.x + i/perColumn*w, r.y + i%perColumn, w - 1, 1}
		p.drawAlpha(at, s, layer, scale)
		p.spot(at, func(m *model) tea.Cmd { m.focusOn(paneAlphas); m.scroll[paneAlphas] = layer; return nil })
		if layer == cursor && p.focus == paneAlphas {
			p.f.restyle(rect{at.x, at.y, 5, 1}, selected)
		}
	}
	p.moreBelow(rect{r.x, r.y, r.w, r.h + 1}, n-perColumn*columns)
}

// drawAlpha is a layer's row: chosen, number, bar, alpha, trend.
func (p *painter) drawAlpha(at rect, s *layerSearch, layer int, scale signedScale) {
	sign, st := "  ", dim
	if s.takes(layer) {
		sign, st = p.g.chosen+" ", good
	}
	p.f.spans(at, span{sign, st}, span{padLeft(strconv.Itoa(layer), 3) + " ", plain})
	if layer >= len(s.alpha) {
		return
	}
	bar := rect{at.x + 6, at.y, at.w - barFrame, 1}
	p.f.spans(bar, scale.bar(s.alpha[layer], bar.w, p.g)...)
	trend := p.g.trends[1+s.direction(layer)]
	p.f.right(rect{at.x, at.y, at.w, 1}, fmt.Sprintf("%8s %s", alphaText(s.alpha[layer]), trend), plain)
}

// alphaText writes an alpha with its sign.
func alphaText(v float64) string {
	if math.Abs(v) < 0.0005 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// signedScale maps alphas to a row of cells; zero is always on it.
type signedScale struct {
	low, high float64
	bound     float64
	bounded   bool
}

func barScale(s *layerSearch) signedScale {
	k := signedScale{}
	if len(s.alpha) > 0 {
		k.low, k.high = min(0, slices.Min(s.alpha)), max(0, slices.Max(s.alpha))
	}
	if k.bound, k.bounded = s.bound(); k.bounded {
		k.low, k.high = min(k.low, k.bound), max(k.high, k.bound)
	}
	if k.high-k.low < 1e-9 {
		k.high = k.low + 1e-9
	}
	return k
}

// at is the half cell of a value in w cells.
func (k signedScale) at(v float64, w int) int {
	return clamp(int(math.Round((v-k.low)/(k.high-k.low)*float64(2*w))), 2*w+1)
}

// bar draws from zero to v, and the rule's bound where it is not covered.
func (k signedScale) bar(v float64, w int, g glyphs) []span {
	if w < 1 {
		return nil
	}
	from, to := k.at(0, w), k.at(v, w)
	if from > to {
		from, to = to, from
	}
	st := series0
	if k.bounded && v <= k.bound {
		st = faint
	}
	out := make([]span, w)
	for i := range out {
		left, right := 2*i >= from && 2*i < to, 2*i+1 >= from && 2*i+1 < to
		out[i] = span{g.halves[btoi(left)+2*btoi(right)], st}
	}
	if i := min(k.at(k.bound, w)/2, w-1); k.bounded && out[i].text == g.halves[0] {
		out[i] = span{g.bound, mark}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// chosenLine says what the bars mean in the end.
func (m *model) chosenLine(s *layerSearch) []span {
	chosen, all := s.params()
	switch {
	case s.wrong != "":
		return []span{{s.wrong, bad}}
	case s.chosen() == nil && s.Steps == 0:
		return []span{{"chosen without looking at alphas", dim}}
	case s.chosen() == nil:
		return []span{{"no alphas yet", dim}}
	case s.Chosen != nil:
		return []span{{fmt.Sprintf("chosen %d of %d", len(s.Chosen), s.n()), good}, {fmt.Sprintf(": %s of %s adapter parameters", paramsText(chosen), paramsText(all)), plain}}
	}
	verb := "would take"
	if m.tried != nil {
		verb = "tried: takes"
	}
	return []span{{s.Rule + " ", strong}, {fmt.Sprintf("%s %d of %d: %s of %s adapter parameters", verb, len(s.chosen()), s.n(), paramsText(chosen), paramsText(all)), plain}}
}

// drawAlphaTable is the table form of the bars (v).
func (p *painter) drawAlphaTable(r rect, s *layerSearch) {
	multipliers := selection.Multipliers(s.alpha)
	t := table{rows: s.n(), marks: true, cursor: clamp(p.m.scroll[paneAlphas], s.n()), columns: []column{
		{title: "layer", w: 5, right: true}, {title: "chosen", w: 6, rank: 1}, {title: "alpha", w: 8, right: true, rank: 2}, {title: "trend", w: 8, right: true, rank: 4},
		{title: "multiplier", w: 10, right: true, rank: 5}, {title: "params", w: 8, right: true, rank: 3},
	}, cell: func(row, col int) span {
		chosen, params := "", ""
		if s.takes(row) {
			chosen = "yes"
		}
		if row < len(s.layers) {
			params = paramsText(s.layers[row].Params)
		}
		if row >= len(s.alpha) {
			return [...]span{{strconv.Itoa(row), strong}, {chosen, good}, {p.g.dash, dim}, {p.g.dash, dim}, {p.g.dash, dim}, {params, plain}}[col]
		}
		return [...]span{
			{strconv.Itoa(row), strong}, {chosen, good}, {alphaText(s.alpha[row]), plain}, {fmt.Sprintf("%+.3f", s.trend(row)), plain},
			{fmt.Sprintf("%.3f", multipliers[row]), plain}, {params, plain},
		}[col]
	}}
	p.drawTable(r, t, p.focus == paneAlphas)
}

// drawHeat shades the alphas of the layers over the outer steps, the newest on the right.
func (p *painter) drawHeat(r rect) {
	s := p.m.layers
	rows := s.curves.alpha
	const label = 6
	if len(rows) == 0 || r.w <= label+2 {
		p.f.text(r.row(0), "No alphas yet.", dim)
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range rows {
		low, high = min(low, slices.Min(row)), max(high, slices.Max(row))
	}
	n, w := len(rows[0]), min(r.w-label, len(rows))
	first := 0
	if r.h < n {
		first = clampTo(clamp(p.m.scroll[paneAlphas], n)-r.h/2, 0, n-r.h)
	}
	shades := []rune(p.g.shades)
	for y := 0; y < r.h && first+y < n; y++ {
		layer := first + y
		sign, st := "  ", dim
		if s.takes(layer) {
			sign, st = p.g.chosen+" ", good
		}
		line := make([]rune, w)
		for x := range line {
			from, to := x*len(rows)/w, (x+1)*len(rows)/w
			sum := 0.0
			for _, row := range rows[from:to] {
				sum += row[layer]
			}
			share := 0.5
			if high > low {
				share = (sum/float64(to-from) - low) / (high - low)
			}
			line[x] = shades[clamp(int(share*float64(len(shades))), len(shades))]
		}
		p.f.spans(r.row(y), span{sign, st}, span{padLeft(strconv.Itoa(layer), 3) + " ", plain}, span{string(line), series0})
	}
	p.moreBelow(r, n-first-r.h)
}
