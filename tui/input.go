package tui

import (
	"slices"
	"strings"
	"unicode"
)

// lineEditor is one line of text being typed.
type lineEditor struct {
	text []rune
	at   int // caret
}

const maxLine = 500 // longer input is a paste by mistake

func (l lineEditor) String() string { return string(l.text) }

func (l *lineEditor) set(s string) {
	l.text = []rune(s)
	l.at = len(l.text)
}

// insert types printable characters at the caret.
func (l *lineEditor) insert(s string) {
	for _, r := range s {
		if unicode.IsPrint(r) && len(l.text) < maxLine {
			l.text = slices.Insert(l.text, l.at, r)
			l.at++
		}
	}
}

// key applies an editing key and reports whether it was one.
func (l *lineEditor) key(name string) bool {
	switch name {
	case "left", "ctrl+b":
		l.at = max(l.at-1, 0)
	case "right", "ctrl+f":
		l.at = min(l.at+1, len(l.text))
	case "home", "ctrl+a":
		l.at = 0
	case "end", "ctrl+e":
		l.at = len(l.text)
	case "backspace":
		if l.at > 0 {
			l.text = slices.Delete(l.text, l.at-1, l.at)
			l.at--
		}
	case "delete":
		if l.at < len(l.text) {
			l.text = slices.Delete(l.text, l.at, l.at+1)
		}
	case "ctrl+w":
		before := strings.TrimRight(string(l.text[:l.at]), " ")
		keep := len([]rune(before[:strings.LastIndex(before, " ")+1]))
		l.text = slices.Delete(l.text, keep, l.at)
		l.at = keep
	case "ctrl+u":
		l.text, l.at = l.text[l.at:], 0
	default:
		return false
	}
	return true
}

// draw shows the line with its caret, scrolled so that the caret is seen.
func (l lineEditor) draw(f *frame, r rect, caret string) {
	from := max(0, l.at-(r.w-2))
	n := f.text(r, string(l.text[from:l.at]), plain)
	n += f.text(rect{r.x + n, r.y, r.w - n, 1}, caret, accent)
	f.text(rect{r.x + n, r.y, r.w - n, 1}, string(l.text[l.at:]), plain)
}
