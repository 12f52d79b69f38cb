package tui

import (
	"fmt"
	"math"
	"strconv"
	"testing"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

// rgb is a colour in linear light.
type rgb [3]float64

func parseColour(t *testing.T, hex string) rgb {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	require.NoError(t, err)
	var c rgb
	for i := range c {
		v := float64(n>>(16-8*i)&0xff) / 255
		if c[i] = v / 12.92; v > 0.04045 {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return c
}

// contrast is the ratio of WCAG 2.2.
func contrast(a, b rgb) float64 {
	light := func(c rgb) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func (c rgb) through(m [3]rgb) rgb {
	var out rgb
	for i, row := range m {
		for k, v := range row {
			out[i] += v * c[k]
		}
	}
	return out
}

// lab is CIE L*a*b* for D65; distances of 10 and more are plain to see.
func (c rgb) lab() [3]float64 {
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	xyz := c.through([3]rgb{{0.4124, 0.3576, 0.1805}, {0.2126, 0.7152, 0.0722}, {0.0193, 0.1192, 0.9505}})
	x, y, z := f(xyz[0]/0.95047), f(xyz[1]), f(xyz[2]/1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func apart(a, b rgb) float64 {
	p, q := a.lab(), b.lab()
	return math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2]))
}

// Whole loss of one kind of cones, after Machado, Oliveira and Fernandes (2009).
var blindness = map[string][3]rgb{
	"none":         {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// Text is readable on the backgrounds that terminals have; series, states and bands are told apart, also by people who lack a kind of cones.
func TestColours(t *testing.T) {
	for _, theme := range []struct {
		name        string
		p           palette
		backgrounds []string
	}{{"dark", darkPalette, []string{"#000000", "#1e1e1e", "#002b36"}}, {"light", lightPalette, []string{"#ffffff", "#fdf6e3"}}} {
		p := theme.p
		for _, bg := range theme.backgrounds {
			for name, hex := range map[string]string{"dim": p.dim, "good": p.good, "warn": p.warn, "bad": p.bad, "accent": p.accent, "purple": p.purple, "fourth": p.fourth} {
				require.GreaterOrEqual(t, contrast(parseColour(t, hex), parseColour(t, bg)), 4.5, "%s: %s %s on %s", theme.name, name, hex, bg)
			}
		}
		sets := map[string][]string{"series": {p.accent, p.warn, p.purple, p.fourth}, "states": {p.good, p.warn, p.bad}, "marks on bands": {p.accent, p.warn, p.inner, p.outer}}
		for _, bg := range theme.backgrounds {
			sets["bands on "+bg] = []string{p.inner, p.outer, bg}
		}
		for what, colours := range sets {
			for kind, m := range blindness {
				for i, a := range colours {
					for _, b := range colours[:i] {
						d := apart(parseColour(t, a).through(m), parseColour(t, b).through(m))
						require.GreaterOrEqual(t, d, 10.0, fmt.Sprintf("%s, %s, %s: %s and %s", theme.name, what, kind, a, b))
					}
				}
			}
		}
	}
}

// Each session follows the background of its own terminal, and how many colours that has.
func TestBackgroundPerSession(t *testing.T) {
	dark, light, few := newTest(t, 60, 18, Options{Theme: "auto"}), newTest(t, 60, 18, Options{Theme: "auto"}), newTest(t, 60, 18, Options{Theme: "auto"})
	dark.Update(tea.BackgroundColorMsg{Color: lipgloss.Color("#1e1e1e")})
	light.Update(tea.BackgroundColorMsg{Color: lipgloss.Color("#fdf6e3")})
	few.Update(tea.ColorProfileMsg{Profile: colorprofile.ANSI})
	few.Update(tea.BackgroundColorMsg{Color: lipgloss.Color("#ffffff")})
	require.Equal(t, []string{"dark", "light", "16"}, []string{dark.theme.name, light.theme.name, few.theme.name})
	require.NotEqual(t, dark.draw(), light.draw())
	require.Equal(t, ansi.Strip(dark.draw()), ansi.Strip(light.draw()), "colours change no text")
}
