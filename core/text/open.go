package text

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// byteOrderMark is what some editors put before UTF-8 text.
var byteOrderMark = []byte("\xef\xbb\xbf")

// readFile returns the bytes of path, or of path.gz unpacked; a leading byte order mark is dropped.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(path, ".gz") {
		if packed, gzErr := os.Open(path + ".gz"); gzErr == nil {
			f, err, path = packed, nil, path+".gz"
		}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return bytes.TrimPrefix(b, byteOrderMark), nil
}

// existing is path or path.gz, whichever exists; "" if neither does.
func existing(path string) string {
	for _, p := range []string{path, path + ".gz"} {
		if s, err := os.Stat(p); err == nil && s.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// lines splits text at line feeds, dropping carriage returns before them and the empty piece behind the last.
func lines(b []byte) []string {
	out := strings.Split(string(b), "\n")
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	for i, l := range out {
		out[i] = strings.TrimSuffix(l, "\r")
	}
	return out
}
