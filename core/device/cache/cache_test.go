package cache

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	key, other := Key{1}, Key{2}
	_, ok := Read("a", key)
	require.False(t, ok)
	Write("a", key, []byte("content"))
	got, ok := Read("a", key)
	require.True(t, ok)
	require.Equal(t, "content", string(got))
	_, ok = Read("a", other)
	require.False(t, ok, "of another key")

	p, _ := path("a")
	whole, err := os.ReadFile(p)
	require.NoError(t, err)
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1
		require.NoError(t, os.WriteFile(p, damaged, 0o600))
		_, ok = Read("a", key)
		require.False(t, ok, "byte %d", i)
		require.NoError(t, os.WriteFile(p, whole[:i], 0o600))
		_, ok = Read("a", key)
		require.False(t, ok, "%d bytes", i)
	}
	Write("a", other, nil)
	got, ok = Read("a", other)
	require.True(t, ok)
	require.Empty(t, got)

	t.Setenv("XDG_CACHE_HOME", "/proc/nowhere")
	Write("a", key, []byte("content"))
	_, ok = Read("a", key)
	require.False(t, ok, "no folder, no cache")
}
