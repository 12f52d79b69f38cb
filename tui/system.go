package tui

import (
	"fmt"
	"strings"

	"flexi/core/run"
)

// systemLines are the machine, the process and the store.
func (m *model) systemLines(w int) []textLine {
	if m.snap == nil {
		return nil
	}
	s, st := m.snap.System, m.snap.Store
	out := []textLine{
		oneSpan("machine", strong),
		field("device", m.snap.Device),
	}
	if s.Load != nil {
		out = append(out, wrapped("load", loadText(*s.Load), plain, w)...)
	}
	out = append(out,
		field("processors", fmt.Sprint(s.CPUs)),
		textLine{},
		oneSpan("process", strong),
		field("version", s.Version),
		field("pid", fmt.Sprint(s.PID)),
		field("up", ageText(m.now, s.Started)),
		field("processor", fmt.Sprintf("%.0f%% of %d%%", s.CPUPercent, 100*s.CPUs)),
		field("memory", bytesText(int64(s.RSSBytes))+", of which Go heap "+bytesText(int64(s.HeapBytes))),
		field("goroutines", fmt.Sprint(s.Goroutines)),
		textLine{},
		oneSpan("store", strong),
	)
	out = append(out, wrapped("place", st.Path, plain, w)...)
	out = append(out, field("database", bytesText(st.DatabaseBytes)), field("weights", fmt.Sprintf("%s in %s", bytesText(st.BlobBytes), plural(st.Blobs, "file"))))
	if st.ReadOnly != "" {
		out = append(out, wrapped("read-only", st.ReadOnly+"; nothing is saved until flexi is started again", bad, w)...)
	} else {
		out = append(out, textLine{{padRight("writes", 11), dim}, {"all saved", good}})
	}
	for _, n := range st.Notices {
		out = append(out, wrapped("repaired", n, warn, w)...)
	}
	out = append(out, textLine{}, oneSpan("people", strong), field("attached", presentText(m.snap.Present)))
	if m.readOnly {
		out = append(out, field("your key", "may look, not command"))
	}
	out = append(out, textLine{}, oneSpan("this window", strong),
		field("picture", m.clockText(m.snap.Time)+", "+ageText(m.now, m.snap.Time)+" ago"),
		field("merged", fmt.Sprintf("%d progress updates, because windows were slower than training", m.snap.Dropped)))
	if !m.spoken {
		out = append(out, field("size", fmt.Sprintf("%dx%d", m.w, m.h)), field("colours", m.theme.name), field("characters", m.glyphs.name))
	}
	if m.link != nil {
		out = append(out, field("link", fmt.Sprintf("%d ms there and back", m.link.Delay().Milliseconds())))
	}
	return out
}

// loadText is what a GPU does, as far as it tells.
func loadText(l run.Load) string {
	var parts []string
	add := func(known bool, format string, args ...any) {
		if known {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(l.Busy != run.Unknown, "%d%% busy", l.Busy)
	add(l.TotalBytes > 0, "%s of %s in use", bytesText(l.UsedBytes), bytesText(l.TotalBytes))
	add(l.Celsius != run.Unknown, "%d °C", l.Celsius)
	add(l.MHz != run.Unknown && l.MostMHz != run.Unknown, "%d of %d MHz", l.MHz, l.MostMHz)
	if len(parts) == 0 {
		return "the device does not tell"
	}
	return strings.Join(parts, ", ")
}
