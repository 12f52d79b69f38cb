package tui

import (
	"fmt"
	"strings"

	"flexi/core/run"
	"flexi/tui/chart"
)

// activityText says what a run does beside its trainings: how far it is, how fast it goes, and how long it will take.
func activityText(r *run.RunView) string {
	a := r.Activity
	if a.What == "" {
		return r.Thinking
	}
	parts := []string{a.What}
	if a.Total > 0 {
		parts = append(parts, percentText(float64(a.Done)/float64(a.Total)))
	}
	if a.Rate > 0 {
		parts = append(parts, rateText(a.Rate))
	}
	if a.Left > 0 {
		parts = append(parts, spanText(a.Left)+" left")
	}
	return strings.Join(parts, ", ")
}

// rateText writes units per second; slow ones as seconds each.
func rateText(rate float64) string {
	switch {
	case rate >= 1:
		return countText(rate) + "/s"
	case rate > 0:
		return fmt.Sprintf("%.1f s each", 1/rate)
	}
	return ""
}

// thinkingText puts a bar before it.
func (m *model) thinkingText(r *run.RunView) string {
	text := activityText(r)
	if r.Activity.Total > 0 {
		text = chart.Bar(float64(r.Activity.Done)/float64(r.Activity.Total), 12, m.glyphs.chart) + " " + text
	}
	return text
}
