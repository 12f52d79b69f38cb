package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

const (
	databaseFile  = "flexi.db"
	blobsFolder   = "blobs"
	backupsFolder = "backups"
	// initialMap is address space, not disk: a mapping that must grow waits for every reader.
	initialMap = 1 << 30
)

// boltOptions for every database file of ours. Without a stored free list a commit does not rewrite it; the price is the scan at start.
func boltOptions(maxSize int) *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockPatience, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, InitialMmapSize: initialMap, MaxSize: maxSize,
	}
}

// Open opens the workspace in dir and makes it if it is not there. The whole database is checked first. A damaged one is renamed to
// flexi.db.bad-<time> and the newest sound backup takes its place, which Notices says; without a sound backup Open fails and changes
// nothing. Other errors: ErrHeld, ErrNewer.
func Open(dir string, o Options) (s *Store, err error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []string{dir, filepath.Join(dir, blobsFolder), filepath.Join(dir, backupsFolder)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open workspace %s: %w", dir, err)
		}
	}
	lock, err := lockWorkspace(dir, o.Clock())
	if err != nil {
		return nil, fmt.Errorf("open workspace %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open workspace %s: %w", dir, err), unlock(lock))
		}
	}()
	s = &Store{dir: dir, opts: o, lock: lock}
	inv, err := s.prepare()
	if err != nil {
		return nil, err
	}
	if err := s.begin(inv); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.dir, databaseFile) }

// prepare leaves a sound database at its place.
func (s *Store) prepare() (*inventory, error) {
	path := s.path()
	if err := removeUnfinished(s.dir, filepath.Join(s.dir, backupsFolder)); err != nil {
		return nil, err
	}
	inv, err := takeInventory(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if newestSound(s.dir) == "" {
			return s.create()
		}
		// A restore was cut off between its two renames, or somebody removed the file.
		return s.restore(errors.New("the database file is missing"))
	case errors.Is(err, ErrDamaged):
		return s.restore(err)
	case err == nil && inv.stale:
		s.notice("one of the two heads of the database is unreadable, so the very last change before the program ended may be missing")
	}
	return inv, err
}

func (s *Store) notice(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.notices = append(s.notices, text)
	s.opts.Logger.Warn(text)
}

// unfinished begins the names of files that take their final name when they are complete.
const unfinished = "unfinished-"

func removeUnfinished(dirs ...string) error {
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes an empty database under another name first: a power cut during the first transaction would leave a file that nothing opens.
func (s *Store) create() (*inventory, error) {
	temp := filepath.Join(s.dir, unfinished+databaseFile)
	b, err := bbolt.Open(temp, 0o600, boltOptions(0))
	if err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return putMeta(tx, s.opts.Clock())
	})
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	if err := errors.Join(os.Rename(temp, s.path()), syncDir(s.dir)); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	return takeInventory(s.path())
}

// putMeta says which layout the database has, and when and by which flexi it was made.
func putMeta(tx *bbolt.Tx, now time.Time) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, m := range []struct{ key, payload []byte }{
		{schemaKey, binary.BigEndian.AppendUint32(nil, schemaVersion)},
		{createdKey, now.UTC().AppendFormat(nil, time.RFC3339)},
		{versionKey, []byte(version)},
	} {
		if err := tx.Bucket(metaBucket).Put(m.key, seal(metaBucket, m.key, m.payload)); err != nil {
			return err
		}
	}
	return nil
}

// restore puts the newest sound backup in the place of a database that cannot be used, which is kept beside it.
func (s *Store) restore(cause error) (*inventory, error) {
	backup := newestSound(s.dir)
	if backup == "" {
		return nil, fmt.Errorf("%w; there is no sound backup of it. Nothing was changed: the file and all weights are where they were. "+
			"Copy %s away for a rescue, and start with another --workspace", cause, s.dir)
	}
	temp := filepath.Join(s.dir, unfinished+databaseFile)
	if err := copyFile(backup, temp); err != nil {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	now := s.opts.Clock()
	bad := s.path() + ".bad-" + now.UTC().Format(backupTime)
	if err := os.Rename(s.path(), bad); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	if err := errors.Join(os.Rename(temp, s.path()), syncDir(s.dir)); err != nil {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	s.notice("the database could not be used (%v). It is kept as %s; the backup %s, %s old, is in its place: what happened since then is missing. "+
		"Weight files that only the damaged one names are kept until you remove it",
		cause, filepath.Base(bad), filepath.Base(backup), now.Sub(backupAge(backup)).Round(time.Minute))
	return takeInventory(s.path())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// begin opens the checked database and starts the writer.
func (s *Store) begin(inv *inventory) error {
	err := guard(func() (err error) {
		s.bolt, err = bbolt.Open(s.path(), 0o600, boltOptions(s.opts.MaxSize))
		return err
	})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	s.seq.Store(inv.lastSeq)
	s.blobs = newBlobs(filepath.Join(s.dir, blobsFolder), inv.refs())
	replaced, err := filepath.Glob(s.path() + ".bad-*")
	if err == nil {
		err = s.blobs.sweep(len(replaced) > 0)
	}
	if err == nil {
		err = guard(func() error { return s.mend(inv) })
	}
	if err != nil {
		return errors.Join(fmt.Errorf("look through the weight files: %w", err), s.bolt.Close())
	}
	s.measure()
	s.backups = newBackups(s)
	s.writer = newWriter(s)
	if inv.runs > 0 {
		s.backups.ifHourPassed()
	}
	return nil
}

// mend takes checkpoints that are gone (a restored backup may name some) out of their trials, which then start again.
func (s *Store) mend(inv *inventory) error {
	return s.bolt.Update(func(tx *bbolt.Tx) error {
		for _, t := range inv.trials {
			if t.weights != "" && !s.blobs.has(t.weights) {
				s.notice("the weights of trial %d of %s are missing; its score is kept", t.trial, t.run)
			}
			if t.checkpoint == "" || s.blobs.has(t.checkpoint) {
				continue
			}
			s.notice("the checkpoint of trial %d of %s is missing; the trial starts from the beginning", t.trial, t.run)
			if err := dropCheckpoint(tx.Bucket(trialsBucket), trialKey(t.run, t.trial)); err != nil {
				return err
			}
		}
		return nil
	})
}

func dropCheckpoint(b *bbolt.Bucket, key []byte) error {
	var t run.Trial
	if err := unsealJSON(trialsBucket, key, b.Get(key), &t); err != nil {
		return err
	}
	t.Checkpoint = ""
	return putJSON(b, trialsBucket, key, t)
}

// measure notes the size of the file for Stats.
func (s *Store) measure() {
	if info, err := os.Stat(s.path()); err == nil {
		s.fileSize.Store(info.Size())
	}
}
