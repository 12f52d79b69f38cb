package db

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Check looks at every page, record and weight file of a workspace and changes nothing. The report is one line for people; the error
// joins everything that is wrong. It returns ErrHeld while another process has the workspace.
func Check(dir string) (report string, err error) {
	lock, err := lockWorkspace(dir, time.Now())
	if err != nil {
		return "", fmt.Errorf("check %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, unlock(lock)) }()
	path := filepath.Join(dir, databaseFile)
	inv, err := takeInventory(path)
	if err != nil {
		return "", fmt.Errorf("check %s: %w; the next start puts the newest sound backup in its place (%d backups in %s)",
			path, err, len(backupFiles(dir)), filepath.Join(dir, backupsFolder))
	}
	b := newBlobs(osDisk{}, filepath.Join(dir, blobsFolder), nil)
	var bytes int64
	var wrong []error
	hashes := slices.Sorted(maps.Keys(inv.refs()))
	for _, hash := range hashes {
		size, err := checkBlob(b, hash)
		bytes += size
		wrong = append(wrong, err)
	}
	if inv.stale {
		wrong = append(wrong, errors.New("one of the two heads of the database is unreadable; the next change repairs it"))
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("check %s: %w", path, err)
	}
	report = fmt.Sprintf("%s: %d runs, %d trials, database %.1f MB, %d weight files %.1f MB, %d backups, all sound",
		dir, inv.runs, inv.nTrials, float64(info.Size())/1e6, len(hashes), float64(bytes)/1e6, len(backupFiles(dir)))
	return report, errors.Join(wrong...)
}

func checkBlob(b *blobs, hash string) (size int64, err error) {
	if !validHash(hash) {
		return 0, damaged("a record names the weight file %q", hash)
	}
	f, err := openVerified(b.path(hash), hash)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
