package tui

import (
	"fmt"
	"math"
	"strconv"

	"flexi/core/run"
	"flexi/tui/chart"
)

// predictionText writes a prediction as mean and standard deviation of the noise.
func (g glyphs) predictionText(p *run.Prediction) string {
	if p == nil {
		return g.dash
	}
	return fmt.Sprintf("%s%s%s", short(p.Mean), g.plusMinus, short(p.Aleatoric))
}

func (g glyphs) ignoranceText(p *run.Prediction) string {
	if p == nil {
		return g.dash
	}
	return short(p.Epistemic)
}

// short writes a score with three digits, for crowded tables.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// originText names the trial whose weights another started from, and the share taken over.
func (g glyphs) originText(t *run.Trial) string {
	if t.Parent < 0 {
		return g.dash
	}
	return fmt.Sprintf("#%d %.2f", t.Parent, t.Overlap)
}

func (p *painter) drawWorkers(r rect) {
	v := p.m.derived.run
	if v == nil || len(v.Workers) == 0 {
		p.f.text(r.row(0), "no worker: the run is not being worked on", dim)
		return
	}
	phaseW, barW := 12, 8
	switch {
	case r.w >= 130:
		phaseW, barW = 20, 20
	case r.w >= 100:
		phaseW, barW = 18, 10
	}
	g := p.g
	t := table{rows: len(v.Workers), marks: true, cursor: clamp(p.m.scroll[paneWorkers], len(v.Workers)), columns: []column{
		{title: "w", w: 2, right: true, rank: 0},
		{title: "trial", w: 11, rank: 0},
		{title: "phase", w: phaseW, rank: 2},
		{title: "progress", w: barW, rank: 4},
		{title: "", w: 4, right: true, rank: 1},
		{title: "loss", w: 6, right: true, rank: 5},
		{title: "curve", w: 12, rank: 12},
		{title: g.mean + g.plusMinus + g.sigma, w: 11 + width(g.plusMinus) - 1, right: true, rank: 6},
		{title: g.xi, w: 5, right: true, rank: 7},
		{title: "eta", w: 6, right: true, rank: 3},
		{title: "tok/s", w: 7, right: true, rank: 8},
		{title: "params", w: 7, right: true, rank: 9},
		{title: "from", w: 9, rank: 10},
		{title: "for", w: 6, right: true, rank: 11},
		{title: "note", rank: 13},
	}, cell: func(row, col int) span { return p.workerCell(&v.Workers[row], col, barW) }}
	p.drawTable(r, t, p.focus == paneWorkers)
}

func (p *painter) workerCell(w *run.WorkerView, col, barW int) span {
	t := p.m.trialAt(w.Trial)
	switch {
	case col == 0:
		return span{strconv.Itoa(w.Slot), dim}
	case t == nil && col == 1:
		return span{p.g.dash, dim}
	case t == nil && col == 2:
		return span{"idle", dim}
	case t == nil && col == 14:
		return span{p.m.derived.run.Thinking, dim}
	case t == nil:
		return span{}
	}
	switch col {
	case 1:
		return span{fmt.Sprintf("#%d %s", t.ID, shortHash(t.Hash)), strong}
	case 2:
		return span{w.Phase, plain}
	case 3:
		return span{chart.Bar(fraction(w.Progress), barW, p.g.chart), good}
	case 4:
		return span{percentText(fraction(w.Progress)), plain}
	case 5:
		return span{lossText(w.Loss), plain}
	case 6:
		return span{chart.Sparkline(w.Losses, 12, p.g.chart), series0}
	case 7:
		return span{p.g.predictionText(t.Predict), plain}
	case 8:
		return span{p.g.ignoranceText(t.Predict), plain}
	case 9:
		if w.ETA <= 0 {
			return span{p.g.dash, dim}
		}
		return span{spanText(w.ETA), plain}
	}
	return p.workerExtra(w, t, col)
}

// workerExtra are the columns of wide windows.
func (p *painter) workerExtra(w *run.WorkerView, t *run.Trial, col int) span {
	switch col {
	case 10:
		if w.TokensPerSecond <= 0 {
			return span{p.g.dash, dim}
		}
		return span{countText(w.TokensPerSecond), plain}
	case 11:
		return span{paramsText(t.Params), plain}
	case 12:
		return span{p.g.originText(t), plain}
	case 13:
		return span{ageText(p.m.now, w.Since), dim}
	}
	if w.Note == "" {
		return span{t.Title, dim}
	}
	return span{w.Note, plain}
}

func lossText(v float64) string {
	if v == 0 {
		return ""
	}
	return short(v)
}
