package text

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadFile(t *testing.T) {
	packed := gzipped(t, "\ufeffpacked")
	dir := files{"a.txt": "\ufeffplain", "b.txt.gz": "\ufeffpacked", "c.txt": "plain", "c.txt.gz": "packed"}.write(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.gz"), []byte(packed[:len(packed)-6]), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "false.gz"), []byte("not packed"), 0o644))
	for name, want := range map[string]string{"a.txt": "plain", "b.txt": "packed", "b.txt.gz": "packed", "c.txt": "plain"} {
		b, err := readFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, string(b), name)
	}
	for name, want := range map[string]string{"cut.gz": "read ", "cut": "cut.gz", "false.gz": "unpack ", "none": "none", "none.gz": "none.gz"} {
		_, err := readFile(filepath.Join(dir, name))
		require.ErrorContains(t, err, want, name)
	}
	require.Empty(t, existing(dir), "a folder is no file")
}

func TestLines(t *testing.T) {
	for in, want := range map[string][]string{
		"": {}, "\n": {""}, "a": {"a"}, "a\n": {"a"}, "a\r\nb": {"a", "b"}, "a\rb\n\nc\r": {"a\rb", "", "c"}, "\r\n\r\n": {"", ""},
	} {
		require.Equal(t, want, lines([]byte(in)), "%q", in)
	}
}
