package tui

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

func lines(f *frame) []string {
	t, _ := newTheme("none")
	return strings.Split(f.render(t), "\n")
}

func TestFrameText(t *testing.T) {
	cases := []struct{ text, want string }{
		{"short", "short   |"}, {"eight ch", "eight ch|"}, {"too long for it", "too lon…|"}, {"界界", "界界    |"}, {"界界界界界", "界界界 …|"}, {"tab\there", "tab here|"}, {"e\u0301t\u0301", "et      |"}, {"", "        |"},
	}
	for _, c := range cases {
		f := newFrame(9, 1, unicodeGlyphs)
		f.text(rect{8, 0, 1, 1}, "|", plain)
		f.text(rect{0, 0, 8, 1}, c.text, plain)
		got := lines(f)[0]
		require.Equal(t, 9, ansi.StringWidth(got), "%q", got)
		require.Equal(t, c.want, got)
	}
}

// Overwriting half of a wide character leaves a blank for the other half.
func TestFrameHalves(t *testing.T) {
	f := newFrame(6, 1, unicodeGlyphs)
	f.text(rect{0, 0, 6, 1}, "界界界", plain)
	f.text(rect{1, 0, 2, 1}, "ab", plain)
	require.Equal(t, " ab 界", lines(f)[0])
	f.text(rect{4, 0, 1, 1}, "c", plain)
	require.Equal(t, " ab c ", lines(f)[0])
}

func TestFrameASCII(t *testing.T) {
	f := newFrame(12, 1, asciiGlyphs)
	f.text(rect{0, 0, 12, 1}, "sa·wma→界 μ", plain)
	require.Equal(t, "sa.wma>? u  ", lines(f)[0])
}

func TestFrameOutside(t *testing.T) {
	f := newFrame(3, 2, unicodeGlyphs)
	f.text(rect{-2, 0, 9, 1}, "abcdef", plain)
	f.text(rect{0, 7, 9, 1}, "below", plain)
	f.box(rect{-1, -1, 9, 9}, unicodeGlyphs.light, plain)
	f.fill(rect{-4, 1, 99, 99})
	f.restyle(rect{-4, -4, 99, 99}, dim)
	require.Equal(t, []string{"cde", "   "}, lines(f))
}

// Escape sequences are closed on each line, and neighbours of one look share one.
func TestFrameStyles(t *testing.T) {
	f := newFrame(4, 1, unicodeGlyphs)
	f.text(rect{0, 0, 2, 1}, "ab", strong)
	f.text(rect{2, 0, 1, 1}, "c", selected)
	th, err := newTheme("16")
	require.NoError(t, err)
	require.Equal(t, "\x1b[1mab\x1b[m\x1b[7mc\x1b[m ", f.render(th))
}
