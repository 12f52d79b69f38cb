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
	"time"

	"go.etcd.io/bbolt"
)

const (
	backupEvery = time.Hour
	backupsKept = 24
	backupTime  = "20060102T150405Z"
)

// backups writes copies of the database into the workspace: when an hour has passed since the last and something changed, and when a run
// is done.
type backups struct {
	store *Store
	kick  chan struct{}
	quit  chan struct{}
	ended chan struct{}
	// last is when the newest backup was asked for. The writer's goroutine alone uses it, after newBackups.
	last time.Time
}

func newBackups(s *Store) *backups {
	b := &backups{store: s, kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	if files := backupFiles(s.dir); len(files) > 0 {
		b.last = backupAge(files[0])
	}
	go b.loop()
	return b
}

// tick asks for a backup if one is due.
func (b *backups) tick() {
	now := b.store.opts.Clock()
	if now.Sub(b.last) < backupEvery && !now.Before(b.last) {
		return
	}
	b.last = now
	b.request()
}

// request asks for a backup now.
func (b *backups) request() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// stop writes a backup that was asked for, and ends.
func (b *backups) stop() {
	close(b.quit)
	<-b.ended
}

func (b *backups) loop() {
	defer close(b.ended)
	for {
		select {
		case <-b.kick:
			b.run()
		case <-b.quit:
			select {
			case <-b.kick:
				b.run()
			default:
			}
			return
		}
	}
}

// run writes one backup. A failure costs the backup only: the database itself is as it was.
func (b *backups) run() {
	s := b.store
	name := "flexi-" + s.opts.Clock().UTC().Format(backupTime) + ".db"
	if err := s.backupTo(filepath.Join(s.dir, backupsFolder, name)); err != nil {
		s.opts.Logger.Error("hourly backup failed", "err", err)
		return
	}
	files := backupFiles(s.dir)
	for _, old := range files[min(len(files), backupsKept):] {
		if err := os.Remove(old); err != nil {
			s.opts.Logger.Error("remove old backup", "err", err)
		}
	}
}

func (s *Store) backupTo(path string) error {
	temp, err := s.copyOut()
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	// A copy that is not sound must not push a sound one out.
	if _, err := takeInventory(temp); err != nil {
		return err
	}
	return errors.Join(os.Rename(temp, path), syncDir(filepath.Dir(path)))
}

// copyOut writes a consistent, durable copy of the database to a temporary file, which the caller removes.
func (s *Store) copyOut() (path string, err error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, backupsFolder), unfinished+"*")
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
	f, err := os.Open(temp)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
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
