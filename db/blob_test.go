package db

import (
	"io"
	"os"
	"testing"
)

// TestBlobIsWrittenOnce: the second writer of the same content leaves the first one's file.
func TestBlobIsWrittenOnce(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	put := func() os.FileInfo {
		t.Helper()
		hash, size, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, "weights"); return err })
		if err != nil || size != 7 {
			t.Fatalf("%d bytes, %v", size, err)
		}
		info, err := os.Stat(s.blobs.path(hash))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if first, second := put(), put(); !os.SameFile(first, second) {
		t.Error("the file was written again")
	}
	left, err := os.ReadDir(s.blobs.dir)
	if err != nil || len(left) != 1 || !left[0].IsDir() {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestHeldBlobStays: a file lives as long as a record names it or is about to.
func TestHeldBlobStays(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	put := func(content string) []string {
		t.Helper()
		hash, _, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
		if err != nil {
			t.Fatal(err)
		}
		return []string{hash, ""}
	}
	there := func(h []string) bool {
		_, err := os.Stat(s.blobs.path(h[0]))
		return err == nil && s.blobs.has(h[0])
	}
	shared := put("shared")
	s.blobs.hold(shared) // the first record
	s.blobs.hold(shared) // a second one, not yet committed
	s.blobs.release(shared)
	if !there(shared) {
		t.Error("a file is gone that a record is about to name")
	}
	s.blobs.release(shared)
	if there(shared) {
		t.Error("a file is there that nothing names")
	}
	failed := put("failed")
	s.blobs.hold(failed)
	s.blobs.unhold(failed)
	if !there(failed) {
		t.Error("a file is gone although its record may be tried again")
	}
	s.blobs.hold(failed)
	s.blobs.release(failed)
	if there(failed) {
		t.Error("the record of a second try is gone, but its file is there")
	}
}
