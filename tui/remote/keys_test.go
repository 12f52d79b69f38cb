package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAuthorized reads files of keys: roles, names, comments, and every line that lets nobody in.
func TestAuthorized(t *testing.T) {
	dir := t.TempDir()
	line := func(name string) string {
		newKey(t, filepath.Join(dir, name), name)
		text, err := os.ReadFile(filepath.Join(dir, name+".pub"))
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	ana, bo, eve := line("ana"), line("bo"), line("eve")
	path := filepath.Join(dir, KeysFile)
	people, warnings, err := authorized(path)
	require.NoError(t, err, "no file lets nobody in")
	require.Empty(t, people)
	require.Empty(t, warnings)
	text := strings.Join([]string{
		"# people", "", "operator " + ana, "  viewer " + bo + "  ",
		eve, "admin " + eve, "operator,viewer " + eve, `viewer,command="sh" ` + eve, "Operator " + eve, "operator ssh-ed25519 AAAA eve", "operator", strings.Repeat("x", 1000),
	}, "\n")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	people, warnings, err = authorized(path)
	require.NoError(t, err)
	require.Len(t, warnings, 8)
	require.Contains(t, warnings[0], "line 5")
	roles := map[string]Role{}
	for _, p := range people {
		require.True(t, strings.HasPrefix(p.Fingerprint, "SHA256:"))
		require.Equal(t, p.Name+" ("+p.Fingerprint[:15]+")", p.actor())
		roles[p.Name] = p.Role
	}
	require.Equal(t, map[string]Role{"ana": Operator, "bo": Viewer}, roles)
	n, err := CountKeys(path)
	require.NoError(t, err)
	require.Equal(t, 2, n)

	for _, mode := range []os.FileMode{0o620, 0o602} {
		require.NoError(t, os.Chmod(path, mode))
		_, _, err = authorized(path)
		require.ErrorContains(t, err, "chmod go-w")
	}
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.Truncate(path, maxKeysFile+1))
	_, _, err = authorized(path)
	require.ErrorContains(t, err, "bytes")
}

// TestHostKey is made once, for its owner alone, and a spoilt one is refused.
func TestHostKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), keyFile)
	first, err := hostKey(path)
	require.NoError(t, err)
	again, err := hostKey(path)
	require.NoError(t, err)
	require.Equal(t, first.PublicKey().Marshal(), again.PublicKey().Marshal())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = hostKey(path)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("-----BEGIN"), 0o600))
	_, err = hostKey(path)
	require.ErrorContains(t, err, "remove it for a new one")
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"ana": "ana", "ana b\x1b[2J\n": "anab[2J", "žofie": "ofie", strings.Repeat("x", 100): strings.Repeat("x", maxName), "": ""} {
		require.Equal(t, want, printable(in))
	}
}

// TestTypedKeys: what a line becomes by a key, and what is shown for it.
func TestTypedKeys(t *testing.T) {
	type1 := func(keys string) (line, shown string) {
		var l []byte
		for _, c := range []byte(keys) {
			var echo string
			l, echo = typeKey(l, c)
			shown += echo
		}
		return string(l), shown
	}
	for keys, want := range map[string][2]string{
		"ab":          {"ab", "ab"},
		"ab\x7f":      {"a", "ab\b \b"},
		"\x7fa":       {"a", "a"},
		"a\x1b\x00\t": {"a", "a"},
		"a\xc3\xa4":   {"a", "a"},
		"\x03":        {"", left},
		"a\x04":       {"a", "a"},
		"\x04":        {"", left},
	} {
		line, shown := type1(keys)
		require.Equal(t, want, [2]string{line, shown}, "%q", keys)
	}
	line, _ := type1(strings.Repeat("x", 2*maxTypedLine))
	require.Len(t, line, maxTypedLine)
}
