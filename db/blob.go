package db

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"flexi/core/run"
)

// blobs are the files beside the database, each named by the SHA-256 of its content. A file is complete and durable before any record
// names it, and it is removed only after no record does.
type blobs struct {
	dir  string
	disk disk

	mu      sync.Mutex
	sizes   map[string]int64
	refs    map[string]int
	pending map[string]int // how often each was written without being named by a record afterwards
	bytes   int64
}

func newBlobs(d disk, dir string, refs map[string]int) *blobs {
	return &blobs{dir: dir, disk: d, sizes: map[string]int64{}, refs: refs, pending: map[string]int{}}
}

func (b *blobs) path(hash string) string { return filepath.Join(b.dir, hash[:2], hash) }

func (b *blobs) totals() (n int, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sizes), b.bytes
}

// sweep removes unfinished files and, unless keep is set, those that no record names. It learns the sizes of the others.
func (b *blobs) sweep(keep bool) error {
	return filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		hash := d.Name()
		if !validHash(hash) || b.refs[hash] == 0 && !keep {
			return b.disk.remove(path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.remember(hash, info.Size())
		return nil
	})
}

// has reports whether a file is there. It may be damaged; OpenBlob finds out.
func (b *blobs) has(hash string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.sizes[hash]
	return ok
}

func (b *blobs) remember(hash string, size int64) {
	b.bytes += size - b.sizes[hash]
	b.sizes[hash] = size
}

// hold counts the names in a record before it is committed: a file that another record gives up meanwhile must not go. Empty names count
// for nothing.
func (b *blobs) hold(hashes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hash := range hashes {
		if hash != "" {
			b.refs[hash]++
			b.pending[hash] = max(0, b.pending[hash]-1)
		}
	}
}

// unhold takes hold back after a failed commit. The files stay until the next start: the caller may try again, and the record may have
// reached the disk although the commit failed.
func (b *blobs) unhold(hashes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hash := range hashes {
		if hash != "" {
			b.refs[hash]--
			b.pending[hash]++
		}
	}
}

// release drops the names of a record that was replaced, and removes files that nobody names any more.
func (b *blobs) release(hashes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, hash := range hashes {
		if hash == "" {
			continue
		}
		if b.refs[hash]--; b.refs[hash] > 0 || b.pending[hash] > 0 {
			continue
		}
		delete(b.refs, hash)
		delete(b.pending, hash)
		// A file that cannot be removed now is swept at the next start.
		if b.disk.remove(b.path(hash)) == nil {
			b.bytes -= b.sizes[hash]
			delete(b.sizes, hash)
		}
	}
}

func (b *blobs) added(hash string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remember(hash, size)
	b.pending[hash]++
}

func validHash(hash string) bool {
	return len(hash) == 2*sha256.Size && strings.Trim(hash, "0123456789abcdef") == ""
}

// fileWriter remembers the errors of the file below, to tell a full disk from a caller that gave up.
type fileWriter struct {
	f   diskFile
	err error
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// PutBlob implements run.Store: temporary file in the blob folder, write, sync, rename, sync of the folder. A file that is there already,
// and sound, stays. A write that fails on the disk's side makes the store read-only; one that write itself or ctx gives up leaves nothing
// behind.
func (s *Store) PutBlob(ctx context.Context, write func(io.Writer) error) (hash string, size int64, err error) {
	if err := s.writable(); err != nil {
		return "", 0, fmt.Errorf("store blob: %w", err)
	}
	f, err := s.opts.disk.temp(s.blobs.dir)
	if err != nil {
		return "", 0, fmt.Errorf("store blob: %w", s.freeze(err))
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = s.opts.disk.remove(f.Name())
			err = fmt.Errorf("store blob: %w", err)
		}
	}()
	out := &fileWriter{f: f}
	sum := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(out, sum), 1<<20)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if out.err != nil {
		return "", 0, s.freeze(out.err)
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		return "", 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return "", 0, s.freeze(err)
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	// Counted before the file has its name: a reference dropped meanwhile must not remove it.
	s.blobs.added(hash, info.Size())
	if err := s.settle(f, s.blobs.path(hash)); err != nil {
		return "", 0, s.freeze(err)
	}
	return hash, info.Size(), nil
}

// settle makes a written file durable under its final name.
func (s *Store) settle(f diskFile, path string) error {
	d, dir := s.opts.disk, filepath.Dir(path)
	if old, err := openVerified(path, filepath.Base(path)); err == nil {
		// Whoever wrote it may not have come to the sync yet.
		return errors.Join(old.Sync(), old.Close(), f.Close(), d.remove(f.Name()), d.syncDir(dir), d.syncDir(filepath.Dir(dir)))
	}
	if err := makeDir(d, dir, filepath.Dir(dir)); err != nil {
		return err
	}
	return publish(d, f, path, dir)
}

// OpenBlob implements run.Store. The whole file is compared with its hash before the first byte is given out.
func (s *Store) OpenBlob(hash string) (io.ReadCloser, error) {
	if !validHash(hash) {
		return nil, fmt.Errorf("open blob %q: %w: %w", hash, run.ErrLost, ErrNotFound)
	}
	f, err := openVerified(s.blobs.path(hash), hash)
	switch {
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("open blob %s: %w: %w", hash[:12], run.ErrLost, err)
	case err != nil:
		return nil, fmt.Errorf("open blob %s: %w", hash[:12], err)
	}
	return f, nil
}

// OpenBlobOf opens a weight file of a workspace that another process may have open: weight files never change.
func OpenBlobOf(dir, hash string) (io.ReadCloser, error) {
	return (&Store{blobs: newBlobs(osDisk{}, filepath.Join(dir, blobsFolder), nil)}).OpenBlob(hash)
}

func openVerified(path, hash string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the weight file %s is missing", ErrNotFound, path)
	} else if err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		f.Close()
		return nil, err
	}
	if hex.EncodeToString(sum.Sum(nil)) != hash {
		f.Close()
		return nil, damaged("the weight file %s does not match its name", path)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
