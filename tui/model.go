package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"flexi/core/run"
)

// model is one session of the workbench. Update changes it, View only reads it.
type model struct {
	ctx      context.Context
	viewer   run.Viewer
	feed     <-chan *run.Snapshot
	clock    func() time.Time
	actor    string
	readOnly bool
	denied   func(what string)
	link     Link
	places   *Places
	who      string // their name in places
	spoken   bool   // it is the text form, for ears: no drawings
	keys     []binding

	w, h      int
	now       time.Time
	theme     theme
	autoTheme bool // the terminal's background decides
	glyphs    glyphs

	snap *run.Snapshot
	cut  bool // no more snapshots will come
	state
	derived
	looked  looked // the inspected trial
	looked2 looked // the one that it is compared with
	flash   flash
	leaving time.Time // when ctrl+c was pressed first
	mouse   bool
	held    *grip // nil while no button is down
}

// looked is what is known about the trial in the inspector.
type looked struct {
	of         subject
	inspection *run.Inspection
	points     []run.Point
	alphas     alphaCurves
	problem    string
	reading    bool
	readAt     time.Time
	readState  run.State
}

// flash is a short answer to the last key, shown until the next one.
type flash struct {
	text string
	st   style
}

func newModel(ctx context.Context, v run.Viewer, o Options) (*model, error) {
	env := environment(o.Environ)
	m := &model{ctx: ctx, viewer: v, clock: o.Clock, actor: o.Actor, readOnly: o.ReadOnly, denied: o.Refused, link: o.Link, places: o.Places, who: o.Place, keys: keymap()}
	m.layers = &layerSearch{}
	m.state = o.Places.of(o.Place)
	if o.Start != "" && o.Start != m.runID {
		m.state = newState(o.Start)
	}
	if m.clock == nil {
		m.clock = time.Now
	}
	m.now = m.clock()
	if o.Theme == "" {
		o.Theme = env.theme()
	}
	if o.Glyphs == "" {
		o.Glyphs = env.glyphs()
	}
	if err := m.setTheme(o.Theme); err != nil {
		return nil, err
	}
	var err error
	if m.glyphs, err = newGlyphs(o.Glyphs); err != nil {
		return nil, err
	}
	return m, nil
}

// setTheme takes a theme by name; auto is dark until the terminal tells its background.
func (m *model) setTheme(name string) error {
	auto := name == "auto"
	if auto {
		name = "dark"
	}
	t, err := newTheme(name)
	if err == nil {
		m.theme, m.autoTheme = t, auto
	}
	return err
}

// Init subscribes to snapshots and asks the terminal for its background.
func (m *model) Init() tea.Cmd {
	m.feed = m.viewer.Subscribe(m.ctx)
	cmds := []tea.Cmd{m.nextSnapshot(0)}
	if m.autoTheme {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// Update takes one message. It never blocks: whatever waits is a command.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.now = m.clock()
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case tea.PasteMsg:
		if m.overlay == filterOverlay || m.overlay == paletteOverlay || m.place() == inField {
			m.line.insert(msg.Content)
			m.typed()
		}
	case tea.MouseMsg:
		return m, m.pointed(msg)
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		m.background(msg.IsDark())
	case tea.ColorProfileMsg:
		m.profile(msg.Profile)
	case snapshotMsg:
		m.snap = msg.snapshot
		m.refresh()
		return m, tea.Batch(m.nextSnapshot(snapshotPause), m.inspect())
	case feedClosedMsg:
		m.cut = true
	case tickMsg:
		return m, tea.Batch(m.nextSnapshot(0), m.inspect())
	case replyMsg:
		m.replied(msg)
	case inspectionMsg:
		m.learned(msg.of, msg.take)
	case pointsMsg:
		m.learned(msg.of, msg.take)
	}
	return m, nil
}

func (m *model) background(dark bool) {
	if !m.autoTheme {
		return
	}
	name := "light"
	if dark {
		name = "dark"
	}
	if t, err := newTheme(name); err == nil {
		m.theme = t
	}
}

// profile falls back to the terminal's own colours where it has no more than sixteen.
func (m *model) profile(p colorprofile.Profile) {
	if !m.autoTheme || p >= colorprofile.ANSI256 || p == colorprofile.Unknown {
		return
	}
	name := "none"
	if p == colorprofile.ANSI {
		name = "16"
	}
	if t, err := newTheme(name); err == nil {
		m.theme, m.autoTheme = t, false
	}
}

func (m *model) replied(msg replyMsg) {
	switch {
	case msg.err != nil:
		m.flash = flash{string(msg.verb) + " did not arrive: " + msg.err.Error(), bad}
	case msg.reply.Refused:
		m.flash = flash{"refused: " + msg.reply.Text, warn}
	default:
		m.flash = flash{msg.reply.Text, good}
	}
}

// learned keeps what was fetched, unless the inspector has moved on.
func (m *model) learned(of subject, take func(*looked)) {
	for _, l := range []*looked{&m.looked, &m.looked2} {
		if l.of == of {
			take(l)
		}
	}
	m.layers = m.lookAtLayers(m.layers)
}

func (msg inspectionMsg) take(l *looked) {
	if msg.err != nil {
		l.problem = "cannot describe this architecture: " + msg.err.Error()
		return
	}
	l.inspection = &msg.inspection
}

func (msg pointsMsg) take(l *looked) {
	l.reading = false
	if msg.err != nil {
		l.problem = "cannot read the learning curves: " + msg.err.Error()
		return
	}
	l.points, l.alphas = msg.points, alphasOf(msg.points)
}
