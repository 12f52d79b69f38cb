package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

const (
	databaseFile  = "flexi.db"
	blobsFolder   = "blobs"
	backupsFolder = "backups"
	// journalsFolder holds the journals.
	journalsFolder = "journals"
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
	if o.disk == nil {
		o.disk = osDisk{}
	}
	if err := makeFolders(dir); err != nil {
		return nil, fmt.Errorf("open workspace %s: %w", dir, unwritable(err))
	}
	lock, err := lockWorkspace(dir, o.Clock())
	if err != nil {
		return nil, fmt.Errorf("open workspace %s: %w", dir, unwritable(err))
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

// unwritable adds the next step to an error of a place that cannot be written to.
func unwritable(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w; flexi has to write there, also to look: make it writable, or copy it and name the copy with --workspace", err)
	}
	return err
}

// makeFolders makes what is missing of a workspace's folders, and everything in them durable that an earlier process had no time for.
func makeFolders(dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, blobsFolder), filepath.Join(dir, backupsFolder), filepath.Join(dir, journalsFolder)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(dir))
}

func (s *Store) path() string { return filepath.Join(s.dir, databaseFile) }

// prepare leaves a sound database at its place.
func (s *Store) prepare() (*inventory, error) {
	path := s.path()
	if err := s.removeUnfinished(); err != nil {
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
	case err != nil:
		return nil, err
	}
	return s.catchUp(inv)
}

// catchUp does again what the journals hold beyond the database: a transaction that was on its way when the process ended, or one behind a head
// page that cannot be read.
func (s *Store) catchUp(inv *inventory) (*inventory, error) {
	files := journalFiles(s.dir)
	last, complete, _ := follow(files, inv.position(), justRead)
	if inv.stale && !complete {
		s.notice("one of the two heads of the database is unreadable, so the very last change before the program ended may be missing")
	}
	if last == inv.position() {
		return inv, nil
	}
	b, err := openBolt(s.path(), s.opts.MaxSize)
	if err != nil {
		return nil, err
	}
	_, _, err = rollForward(files, inv.position(), s.opts.disk, b)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	return takeInventory(s.path())
}

func (s *Store) notice(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.notices = append(s.notices, text)
	s.opts.Logger.Warn(text)
}

// unfinished begins the names of files that take their final name when they are complete.
const unfinished = "unfinished-"

func (s *Store) removeUnfinished() error {
	for _, dir := range []string{s.dir, filepath.Join(s.dir, backupsFolder), filepath.Join(s.dir, journalsFolder)} {
		paths, err := filepath.Glob(filepath.Join(dir, unfinished+"*"))
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := s.opts.disk.remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// putMeta says which layout the database has, and when and by which flexi it was made.
func putMeta(tx *writing, now time.Time) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, m := range []struct{ key, payload []byte }{
		{schemaKey, binary.BigEndian.AppendUint32(nil, schemaVersion)},
		{createdKey, now.UTC().AppendFormat(nil, time.RFC3339)},
		{versionKey, []byte(version)},
	} {
		if err := tx.put(metaBucket, m.key, seal(metaBucket, m.key, m.payload)); err != nil {
			return err
		}
	}
	return nil
}

// openBolt opens a database file that was checked.
func openBolt(path string, maxSize int) (b *bbolt.DB, err error) {
	err = guard(func() (err error) {
		b, err = bbolt.Open(path, 0o600, boltOptions(maxSize))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return b, nil
}

// begin opens the checked database and starts the writer.
func (s *Store) begin(inv *inventory) (err error) {
	if s.bolt, err = openBolt(s.path(), s.opts.MaxSize); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.bolt.Close())
		}
	}()
	s.seq.Store(inv.lastSeq)
	s.blobs = newBlobs(s.opts.disk, filepath.Join(s.dir, blobsFolder), inv.refs())
	replaced, err := filepath.Glob(s.path() + ".bad-*")
	if err == nil {
		err = s.blobs.sweep(len(replaced) > 0)
	}
	if err != nil {
		return fmt.Errorf("look through the weight files: %w", err)
	}
	var fresh bool
	if s.journal, fresh, err = openJournal(s.opts.disk, s.dir, inv.position()); err != nil {
		return err
	}
	if err = s.migrate(inv.schema); err == nil {
		err = s.mend(inv)
	}
	if err != nil {
		return errors.Join(err, s.journal.close())
	}
	s.measure()
	s.backups = newBackups(s)
	s.writer = newWriter(s)
	if now := s.opts.Clock(); inv.runs > 0 && (fresh || s.backups.hourPassed(now)) {
		s.backups.begin(now)
	}
	return nil
}

// mend takes files that are gone (a restored backup may name some) out of their trials: a training goes on from the checkpoint before, or starts
// again.
func (s *Store) mend(inv *inventory) error {
	var broken []trialFiles
	for _, t := range inv.trials {
		if slices.ContainsFunc(t.all(), func(hash string) bool { return hash != "" && !s.blobs.has(hash) }) {
			broken = append(broken, t)
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return s.update(func(tx *writing) error {
		for _, t := range broken {
			if err := s.mendTrial(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) mendTrial(tx *writing, files trialFiles) error {
	key := trialKey(files.run, files.trial)
	var t run.Trial
	if err := unsealJSON(trialsBucket, key, tx.bucket(trialsBucket).Get(key), &t); err != nil {
		return err
	}
	gone := func(hash *string) bool {
		missing := *hash != "" && !s.blobs.has(*hash)
		if missing {
			*hash = ""
		}
		return missing
	}
	if gone(&t.Weights) {
		s.notice("the weights of trial %d of %s are missing; its score is kept, and no other trial will start from them", files.trial, files.run)
	}
	gone(&t.Earlier)
	if gone(&t.Checkpoint) {
		t.Checkpoint, t.Earlier = t.Earlier, ""
		from := "goes on from the checkpoint before"
		if t.Checkpoint == "" {
			from = "starts from the beginning"
		}
		s.notice("the checkpoint of trial %d of %s is missing; the trial %s", files.trial, files.run, from)
	}
	return tx.putJSON(trialsBucket, key, t)
}

// measure notes the size of the file for Stats.
func (s *Store) measure() {
	if info, err := os.Stat(s.path()); err == nil {
		s.fileSize.Store(info.Size())
	}
}
