package tui

import (
	"maps"
	"slices"
	"sync"
)

// maxPlaces bounds how many people are remembered.
const maxPlaces = 256

// Places remembers where people were when they left, so that they find the same screen, marks and filters when they come back.
type Places struct {
	mu    sync.Mutex
	known map[string]state
}

// NewPlaces remembers nobody yet.
func NewPlaces() *Places { return &Places{known: map[string]state{}} }

// of is where the person was, or the start.
func (p *Places) of(who string) state {
	if p == nil {
		return newState("")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.known[who]
	if !ok {
		return newState("")
	}
	return s.clone()
}

func (p *Places) put(who string, s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.known[who]; known || len(p.known) < maxPlaces {
		p.known[who] = s.clone()
	}
}

// clone is the state without what is open over the screen, and without anything shared.
func (s state) clone() state {
	s.trail, s.recent, s.tables, s.scroll = slices.Clone(s.trail), maps.Clone(s.recent), maps.Clone(s.tables), maps.Clone(s.scroll)
	s.marked, s.filters, s.lenses, s.chosen = maps.Clone(s.marked), maps.Clone(s.filters), maps.Clone(s.lenses), maps.Clone(s.chosen)
	s.overlay, s.dialog, s.form, s.line, s.choice, s.offset = noOverlay, nil, nil, lineEditor{}, 0, 0
	return s
}

// remember keeps where the person is now.
func (m *model) remember() {
	if m.places != nil {
		m.places.put(m.who, m.state)
	}
}
