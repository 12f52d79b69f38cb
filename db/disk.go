package db

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
)

// disk is what flexi itself asks of the file system when it writes a workspace; every method is one durable step. Tests put one in its place
// that fails, stops or loses power at a chosen step.
type disk interface {
	// temp makes a new file whose name begins with unfinished.
	temp(dir string) (diskFile, error)
	// open opens a file for appending, and makes it if it is not there.
	open(path string) (diskFile, error)
	mkdir(path string) error
	rename(from, to string) error
	remove(path string) error
	syncDir(path string) error
	// commit makes one transaction durable.
	commit(b *bbolt.DB, f func(*bbolt.Tx) error) error
}

// diskFile is an open file of a disk.
type diskFile interface {
	io.Writer
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// osDisk is the operating system's.
type osDisk struct{}

func (osDisk) temp(dir string) (diskFile, error) { return os.CreateTemp(dir, unfinished+"*") }

func (osDisk) open(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

func (osDisk) mkdir(path string) error      { return os.Mkdir(path, 0o700) }
func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }
func (osDisk) syncDir(path string) error    { return syncDir(path) }

func (osDisk) commit(b *bbolt.DB, f func(*bbolt.Tx) error) error { return b.Update(f) }

// makeDir makes a folder durable; one that is there already is none the worse for it.
func makeDir(d disk, path, parent string) error {
	if err := d.mkdir(path); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return d.syncDir(parent)
}

// publish gives a complete temporary file its name: sync, close, rename, sync of the folder dir that holds it.
func publish(d disk, f diskFile, path, dir string) error {
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := d.rename(f.Name(), path); err != nil {
		return err
	}
	return d.syncDir(dir)
}
