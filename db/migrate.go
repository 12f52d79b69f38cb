package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// migrations lead from one layout to the next: the one at i makes layout i+2 of layout i+1.
var migrations = []func(*writing) error{
	func(tx *writing) error { return tx.createBucket(viewsBucket) },
}

// migrate brings the database from an older layout to the present one, a step per transaction, after a copy of the file was kept.
func (s *Store) migrate(schema uint32) error {
	if schema == schemaVersion {
		return nil
	}
	kept := fmt.Sprintf("%s.v%d", s.path(), schema)
	if err := s.keepCopy(kept); err != nil {
		return fmt.Errorf("copy the database before changing its layout: %w", err)
	}
	for from := schema; from < schemaVersion; from++ {
		if err := s.update(func(tx *writing) error {
			if err := migrations[from-1](tx); err != nil {
				return err
			}
			return tx.put(metaBucket, schemaKey, seal(metaBucket, schemaKey, binary.BigEndian.AppendUint32(nil, from+1)))
		}); err != nil {
			return fmt.Errorf("change the layout of the database from %d to %d: %w", from, from+1, err)
		}
	}
	s.notice("the layout of the database was changed from %d to %d; the file as it was is kept as %s", schema, schemaVersion, kept)
	return nil
}

// keepCopy writes a durable copy of the database, unless an earlier start has done so.
func (s *Store) keepCopy(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp, err := s.copyOut()
	if err != nil {
		return err
	}
	if err := s.opts.disk.rename(temp, path); err != nil {
		return err
	}
	return s.opts.disk.syncDir(s.dir)
}
