package search

import (
	"os"
	"path/filepath"
	"testing"

	"flexi/core/device/choose"

	"github.com/stretchr/testify/require"
)

// FuzzSpace gives arbitrary text to the reader of design spaces: what it takes has levels and sizes, and lists architectures that belong to it.
func FuzzSpace(f *testing.F) {
	for _, name := range SpaceNames() {
		text, err := ReadSpace(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add(smallSpace)
	f.Add("layers: [1]\nstack: 0")
	f.Add("&a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpace("fuzz", text)
		if err != nil {
			return
		}
		for _, level := range s.Levels() {
			require.Positive(t, s.Size(level).Sign())
		}
		if archs, total, err := s.LevelArchs(s.Levels()[0], 20, 1); err == nil {
			require.NotEmpty(t, archs, "of %s", total)
			require.NoError(t, s.Contains(archs[0]))
		}
	})
}

// FuzzConfig gives arbitrary text to the reader of configurations: it answers with an error or with what Complete can judge.
func FuzzConfig(f *testing.F) {
	f.Add("preset: quick\npretrain:\n  steps: 3\n")
	f.Add("preset: demo\nlevels: [0.5, 0.5]\ntransfer: {mode: exact, threshold: 0.5}\narchitectures: ['{\"l\":1}']\n")
	f.Add("candidates: many")
	f.Add("preset: [")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		c, err := LoadConfig("", path)
		if err != nil {
			return
		}
		if c.Space = "demo"; len(c.Architectures) == 0 { // others name files of the machine
			_, _ = c.Complete(choose.Choice{})
		}
	})
}

// FuzzPolicyState gives arbitrary bytes to the policies that keep a state: they refuse them, or go on.
func FuzzPolicyState(f *testing.F) {
	p, err := NewPolicy("boshnas", syntheticLibrary(5, 3), PolicyOptions{Seed: 1, Initial: 2})
	require.NoError(f, err)
	state, err := p.State()
	require.NoError(f, err)
	f.Add(state)
	f.Add(state[:len(state)/2])
	f.Fuzz(func(_ *testing.T, b []byte) { _ = p.Restore(b) })
}
