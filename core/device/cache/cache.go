// Package cache keeps what takes long to compute and can always be computed again, in the user's cache folder. A file is its key, the SHA-256 of its
// content, and the content: one that is damaged or for something else is not used. Where the folder cannot be written there is no cache.
package cache

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
)

// Key says what a content depends on: the SHA-256 of all of it, the version of the code that computes it included.
type Key = [sha256.Size]byte

func path(name string) (string, bool) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "flexi", name), err == nil
}

// Read returns what Write kept under a name and a key.
func Read(name string, key Key) ([]byte, bool) {
	p, ok := path(name)
	if !ok {
		return nil, false
	}
	file, err := os.ReadFile(p)
	if err != nil || len(file) < 2*len(key) || !bytes.Equal(file[:len(key)], key[:]) {
		return nil, false
	}
	content := file[2*len(key):]
	sum := sha256.Sum256(content)
	return content, bytes.Equal(file[len(key):2*len(key)], sum[:])
}

// Write keeps a content, in place of an earlier one of that name.
func Write(name string, key Key, content []byte) {
	p, ok := path(name)
	if !ok || os.MkdirAll(filepath.Dir(p), 0o700) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(p), name+"-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	sum := sha256.Sum256(content)
	_, err = f.Write(bytes.Join([][]byte{key[:], sum[:], content}, nil))
	if f.Close() == nil && err == nil {
		_ = os.Rename(f.Name(), p)
	}
}
