package db

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// create makes an empty database under another name first: a power cut during the first transaction would leave a file that nothing opens.
func (s *Store) create() (*inventory, error) {
	temp := filepath.Join(s.dir, unfinished+databaseFile)
	b, err := bbolt.Open(temp, 0o600, boltOptions(0))
	if err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		w := &writing{tx: tx}
		for _, name := range bucketsOf(schemaVersion) {
			if err := w.createBucket(name); err != nil {
				return err
			}
		}
		var chain [8]byte // of a new history
		if _, err := rand.Read(chain[:]); err != nil {
			return err
		}
		return errors.Join(putMeta(w, s.opts.Clock()), putChain(tx, binary.BigEndian.Uint64(chain[:])))
	})
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	if err := s.install(temp); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	return takeInventory(s.path())
}

// restore puts the newest sound backup in the place of a database that cannot be used, which is kept beside it.
func (s *Store) restore(cause error) (*inventory, error) {
	backup := newestSound(s.dir)
	if backup == "" {
		return nil, fmt.Errorf("%w; there is no sound backup of it. Nothing was changed: the file and all weights are where they were. "+
			"Copy %s away for a rescue, and start with another --workspace", cause, s.dir)
	}
	temp := filepath.Join(s.dir, unfinished+databaseFile)
	more, err := rebuild(s.opts.disk, s.dir, backup, temp)
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	now := s.opts.Clock()
	bad := freeName(s.path() + ".bad-" + now.UTC().Format(backupTime))
	if err := s.opts.disk.rename(s.path(), bad); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	if err := s.install(temp); err != nil {
		return nil, fmt.Errorf("restore %s: %w", backup, err)
	}
	s.notice("the database could not be used (%v). It is kept as %s; the backup %s, %s old, is in its place: %s. "+
		"Weight files that only the damaged one names are kept until you remove it",
		cause, filepath.Base(bad), filepath.Base(backup), now.Sub(backupAge(backup)).Round(time.Minute), more)
	return takeInventory(s.path())
}

// freeName is path, or path with the first number behind it that no file has.
func freeName(path string) string {
	free := path
	for n := 2; ; n++ {
		if _, err := os.Lstat(free); err != nil {
			return free
		}
		free = fmt.Sprintf("%s-%d", path, n)
	}
}

// install gives a complete database file its name.
func (s *Store) install(temp string) error {
	if err := s.opts.disk.rename(temp, s.path()); err != nil {
		return err
	}
	return s.opts.disk.syncDir(s.dir)
}

// redone is how far the journals brought a backup.
type redone struct {
	transactions uint64
	complete     bool // to the end of the newest journal
}

func (r redone) String() string {
	switch {
	case r.complete && r.transactions == 0:
		return "nothing happened since then"
	case r.complete:
		return fmt.Sprintf("the journal gave back the %d changes since then", r.transactions)
	case r.transactions > 0:
		return fmt.Sprintf("the journal gave back %d changes since then, but does not end as it should: later ones may be missing", r.transactions)
	}
	return "no journal goes on from it, so what happened since then may be missing"
}

// rebuild makes temp of a backup and what the journals hold after it.
func rebuild(d disk, dir, backup, temp string) (r redone, err error) {
	if err := copyFile(backup, temp); err != nil {
		return r, err
	}
	inv, err := takeInventory(temp)
	if err != nil {
		return r, err
	}
	b, err := openBolt(temp, 0)
	if err != nil {
		return r, err
	}
	last, complete, err := rollForward(journalFiles(dir), inv.position(), d, b)
	if err = errors.Join(err, b.Close()); err != nil {
		return r, err
	}
	_, err = takeInventory(temp)
	return redone{last.txid - inv.txid, complete}, err
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
