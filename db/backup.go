package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

const (
	backupEvery = time.Hour
	backupsKept = 24
	// journaled is how many of the newest backups the journals can bring up to the present.
	journaled  = 3
	backupTime = "20060102T150405Z"
)

// backups writes copies of the database into the workspace: when an hour has passed since the last and something changed, when a run is
// done, and when the workspace is closed.
type backups struct {
	store *Store
	due   chan time.Time
	quit  chan struct{}
	ended chan struct{}
	// last is when the newest backup was asked for. The writer's goroutine alone uses it, after begin.
	last    time.Time
	changed atomic.Bool // since the newest backup began
}

func newBackups(s *Store) *backups {
	b := &backups{store: s, due: make(chan time.Time, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	if files := backupFiles(s.dir); len(files) > 0 {
		b.last = backupAge(files[0])
	}
	go b.loop()
	return b
}

// noteChange follows every commit. With a backup a new journal begins.
func (b *backups) noteChange() {
	b.changed.Store(true)
	now, s := b.store.opts.Clock(), b.store
	if !b.hourPassed(now) && s.journal.size < journalLimit {
		return
	}
	if err := s.journal.begin(s.journal.last); err != nil {
		_ = s.freeze(err) // what was committed stays so
		return
	}
	b.begin(now)
}

// hourPassed is also true if the last backup is from the future of a clock that was set back.
func (b *backups) hourPassed(now time.Time) bool {
	return now.Sub(b.last) >= backupEvery || now.Before(b.last)
}

func (b *backups) begin(now time.Time) {
	b.last = now
	b.request(now)
}

// request asks for a backup. One that waits to be written holds the change that this one is for.
func (b *backups) request(now time.Time) {
	select {
	case b.due <- now:
	default:
	}
}

// stop writes what was asked for, and what changed since, and ends. The writer has ended before.
func (b *backups) stop() {
	close(b.quit)
	<-b.ended
	if b.changed.Load() {
		b.run(b.store.opts.Clock())
	}
}

func (b *backups) loop() {
	defer close(b.ended)
	for {
		select {
		case now := <-b.due:
			b.run(now)
		case <-b.quit:
			select {
			case now := <-b.due:
				b.run(now)
			default:
			}
			return
		}
	}
}

// run writes one backup. A failure costs the backup only: the database itself is as it was.
func (b *backups) run(now time.Time) {
	s := b.store
	name := "flexi-" + now.UTC().Format(backupTime) + ".db"
	b.changed.Store(false)
	if err := s.backupTo(filepath.Join(s.dir, backupsFolder, name)); err != nil {
		b.changed.Store(true)
		s.opts.Logger.Error("backup failed", "err", err)
		return
	}
	if err := s.forgetOld(); err != nil {
		s.opts.Logger.Error("remove what is older than the backups that are kept", "err", err)
	}
}

// forgetOld removes backups beyond those that are kept, and journals that the newest ones do not need.
func (s *Store) forgetOld() error {
	files := backupFiles(s.dir)
	for _, old := range files[min(len(files), backupsKept):] {
		if err := s.opts.disk.remove(old); err != nil {
			return err
		}
	}
	if len(files) < journaled {
		return nil
	}
	oldest, err := lastTransaction(files[journaled-1])
	if err != nil {
		return err
	}
	return forgetJournals(s.opts.disk, s.dir, oldest)
}

// lastTransaction reads the head of a database file.
func lastTransaction(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	w := &walker{file: f}
	err = w.readMeta(uint64(info.Size()))
	return w.meta.txid, err
}

func (s *Store) backupTo(path string) error {
	temp, err := s.copyOut()
	if err != nil {
		return err
	}
	defer os.Remove(temp) // where the rename fails
	// A copy that is not sound must not push a sound one out.
	if _, err := takeInventory(temp); err != nil {
		return err
	}
	if err := s.opts.disk.rename(temp, path); err != nil {
		return err
	}
	return s.opts.disk.syncDir(filepath.Dir(path))
}

// copyOut writes a consistent, durable copy of the database to a temporary file, which the caller removes.
func (s *Store) copyOut() (path string, err error) {
	f, err := s.opts.disk.temp(filepath.Join(s.dir, backupsFolder))
	if err != nil {
		return "", err
	}
	err = guard(func() error {
		return s.bolt.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(f)
			return err
		})
	})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Backup implements run.Store. The copy goes through a file first, so that a slow w holds up nothing.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	_ = s.writer.flush() // of a read-only store, what it has
	temp, err := s.copyOut()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer os.Remove(temp)
	return sendFile(w, temp)
}

func sendFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// BackupOf writes a copy of the database of a workspace that another process has open: its newest backup, and what its journals hold after that, which is
// everything that was acknowledged when this is called. It changes nothing in the workspace.
func BackupOf(dir string, w io.Writer) error {
	folder, err := os.MkdirTemp("", "flexi-backup-*")
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer os.RemoveAll(folder)
	temp := filepath.Join(folder, databaseFile)
	// The owner may be in the middle of a record, or remove a journal that a newer backup made superfluous.
	for range 5 {
		backup := newestSound(dir)
		if backup == "" {
			return fmt.Errorf("backup: %s has no backup to start from yet; try again in a minute", dir)
		}
		r, err := rebuild(osDisk{}, dir, backup, temp)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if r.complete {
			return sendFile(w, temp)
		}
	}
	return fmt.Errorf("backup: the journal of %s does not lead from its newest backup to the present; end the process that has it open, and try again", dir)
}

// backupFiles are the workspace's backups, newest first.
func backupFiles(dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, backupsFolder, "flexi-*.db"))
	if err != nil {
		return nil // only a malformed pattern
	}
	files = slices.DeleteFunc(files, func(path string) bool { return backupAge(path).IsZero() })
	slices.Sort(files)
	slices.Reverse(files)
	return files
}

// backupAge is the time in a backup's name, zero if the name is not of a backup.
func backupAge(path string) time.Time {
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "flexi-"), ".db")
	t, err := time.Parse(backupTime, name)
	if err != nil {
		return time.Time{}
	}
	return t
}

// newestSound is the newest backup that passes the check, "" if there is none.
func newestSound(dir string) string {
	for _, path := range backupFiles(dir) {
		if _, err := takeInventory(path); err == nil {
			return path
		}
	}
	return ""
}
