package tui

import (
	"fmt"
	"strconv"

	"flexi/core/run"
)

func (p *painter) drawTrials(r rect) {
	m := p.m
	if len(m.trials) == 0 {
		text := "No trial yet: the first is being proposed."
		if m.filters[overview] != "" {
			text = "No trial matches the filter " + m.filters[overview]
		}
		p.f.text(r.row(0), text, dim)
		return
	}
	g := p.g
	t := table{rows: len(m.trials), marks: true, cursor: m.findTrial(), columns: []column{
		{title: "#", w: 5, right: true},
		{title: "", w: 1, rank: 3},
		{title: "score", w: 7, right: true, rank: 1},
		{title: "params", w: 7, right: true, rank: 2},
		{title: "state", w: 10, rank: 4},
		{title: "time", w: 6, right: true, rank: 6},
		{title: "from", w: 9, rank: 7},
		{title: g.mean + g.plusMinus + g.sigma, w: 11 + width(g.plusMinus) - 1, right: true, rank: 8},
		{title: g.xi, w: 5, right: true, rank: 9},
		{title: "picked by", w: 12, rank: 10},
		{title: "architecture", rank: 5},
		{title: "hash", w: 7, rank: 11},
	}, cell: func(row, col int) span { return p.trialCell(m.trials[row], col) }}
	if t.cursor < 0 && m.order == byNumber {
		t.from = len(m.trials) // follow the newest
	}
	p.drawTable(r, t, p.focus == paneTrials)
}

func (p *painter) trialCell(t *run.Trial, col int) span {
	best := p.m.derived.run.Best == t.ID
	switch col {
	case 0:
		if p.m.chosen[subject{p.m.runID, t.ID}] {
			return span{"*" + strconv.Itoa(t.ID), accent}
		}
		return span{strconv.Itoa(t.ID), dim}
	case 1:
		if p.m.frontier[t.ID] {
			return span{p.g.disc, mark}
		}
	case 2:
		if t.Score == nil {
			return span{p.g.dash, dim}
		}
		if best {
			return span{scoreText(*t.Score), strong}
		}
		return span{scoreText(*t.Score), plain}
	case 3:
		return span{paramsText(t.Params), plain}
	case 4:
		return p.trialState(t, best)
	case 5:
		if t.Seconds <= 0 {
			return span{p.g.dash, dim}
		}
		return span{secondsText(t.Seconds), dim}
	case 6:
		return span{p.g.originText(t), plain}
	case 7:
		return span{p.g.predictionText(t.Predict), dim}
	case 8:
		return span{p.g.ignoranceText(t.Predict), dim}
	case 9:
		return span{t.Why, dim}
	case 10:
		return span{t.Title, plain}
	case 11:
		return span{shortHash(t.Hash), dim}
	}
	return span{}
}

// trialState is glyph and word; the best trial's word is "best", a running one's its progress.
func (p *painter) trialState(t *run.Trial, best bool) span {
	word := string(t.State)
	if best {
		word = "best"
	}
	if t.State == run.Running {
		for _, w := range p.m.derived.run.Workers {
			if w.Trial == t.ID && w.Steps > 0 {
				word = "at " + percentText(fraction(w.Progress))
			}
		}
	}
	return span{p.g.state(t.State) + " " + word, stateStyle(t.State)}
}

func (p *painter) drawQueue(r rect) {
	g, queue := p.g, p.m.queue
	if len(queue) == 0 {
		p.f.text(r.row(0), "Nothing ranked yet.", dim)
		return
	}
	t := table{rows: len(queue), marks: true, cursor: clamp(p.m.scroll[paneQueue], len(queue)), columns: []column{
		{title: "", w: 2, right: true},
		{title: "arch", w: 7, rank: 2},
		{title: "why", w: 10, rank: 2},
		{title: "value", w: 6, right: true, rank: 4},
		{title: g.mean + g.plusMinus + g.sigma, w: 11 + width(g.plusMinus) - 1, right: true, rank: 1},
		{title: g.xi, w: 5, right: true, rank: 3},
		{title: "architecture", rank: 6},
	}, cell: func(row, col int) span {
		k := &queue[row]
		why := span{k.Why, dim}
		switch k.Why {
		case "pinned":
			why.st = good
		case "skipped":
			why.st = warn
		}
		return [...]span{
			{strconv.Itoa(row + 1), dim},
			{shortHash(k.Hash), plain},
			why,
			{short(k.Predict.Acquisition), plain},
			{g.predictionText(&k.Predict), plain},
			{g.ignoranceText(&k.Predict), plain},
			{k.Title, dim},
		}[col]
	}}
	p.drawTable(r, t, p.focus == paneQueue)
}

func fractionOf(i, n int) string { return fmt.Sprintf("%d/%d", i, n) }
