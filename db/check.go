package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Check looks at every page, record, weight file, backup and journal of a workspace and changes nothing. The report is one line for people; the
// error joins everything that is wrong, each with what becomes of it or what to do. It returns ErrHeld while another process has the workspace.
func Check(dir string) (report string, err error) {
	lock, err := lockWorkspace(dir, time.Now())
	if err != nil {
		return "", fmt.Errorf("check %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, unlock(lock)) }()
	c := &checker{dir: dir}
	c.backups()
	inv, err := takeInventory(filepath.Join(dir, databaseFile))
	if err != nil {
		c.badDatabase(err)
		return "", errors.Join(c.wrong...)
	}
	if inv.stale {
		c.complain("one of the two heads of the database is unreadable; the next change repairs it")
	}
	c.journals(inv.position())
	c.weights(inv)
	size, err := fileSize(filepath.Join(dir, databaseFile))
	if err != nil {
		c.wrong = append(c.wrong, err)
	}
	report = fmt.Sprintf("%s: %d runs, %d trials, database %.1f MB, %d weight files %.1f MB, %d backups, all sound",
		dir, inv.runs, inv.nTrials, float64(size)/1e6, c.files, float64(c.bytes)/1e6, c.sound)
	return report, errors.Join(c.wrong...)
}

// checker collects what is wrong with a workspace.
type checker struct {
	dir   string
	wrong []error
	files int   // weight files that are sound
	bytes int64 // of them
	sound int   // backups
}

func (c *checker) complain(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Errorf(format, args...))
}

func (c *checker) badDatabase(err error) {
	path := filepath.Join(c.dir, databaseFile)
	switch {
	case errors.Is(err, ErrNewer):
		c.complain("check %s: %w", path, err)
	case c.sound > 0:
		c.complain("check %s: %w; the next start puts the newest of %d sound backups in its place and does again what the journal holds", path, err, c.sound)
	default:
		c.complain("check %s: %w; there is no sound backup in %s: copy the workspace away for a rescue, and start with another --workspace",
			path, err, filepath.Join(c.dir, backupsFolder))
	}
}

func (c *checker) backups() {
	for _, path := range backupFiles(c.dir) {
		if _, err := takeInventory(path); err != nil {
			c.complain("backup %s: %w; remove it, the others are used without it", path, err)
			continue
		}
		c.sound++
	}
}

// journals complains of what does not lead to the database. Half a record behind its newest transaction is what a killed process leaves.
func (c *checker) journals(last position) {
	files := journalFiles(c.dir)
	for i, path := range files {
		j, err := readJournal(path, justRead)
		switch {
		case err != nil:
			c.complain("journal: %w; the next start sets it aside and makes a backup", err)
		case i == len(files)-1 && j.last.txid < last.txid:
			c.complain("journal %s: %w at its byte %d, %d transactions before the database; the next start sets it aside and makes a backup",
				path, ErrDamaged, j.size, last.txid-j.last.txid)
		case i == len(files)-1 && j.last.txid == last.txid && j.last.chain != last.chain:
			c.complain("journal %s: it is of another database; the next start sets it aside and makes a backup", path)
		case i < len(files)-1 && j.torn:
			c.complain("journal %s: %w at its byte %d; backups from before it miss what follows", path, ErrDamaged, j.size)
		}
	}
}

func (c *checker) weights(inv *inventory) {
	b := newBlobs(osDisk{}, filepath.Join(c.dir, blobsFolder), nil)
	seen := map[string]error{}
	for _, t := range inv.trials {
		for i, hash := range t.all() {
			if hash == "" {
				continue
			}
			err, again := seen[hash]
			if !again {
				err = c.blob(b, hash)
				seen[hash] = err
			}
			if err != nil {
				c.complain("trial %d of %s, %w; %s", t.trial, t.run, err, [...]string{
					"its training goes on from the checkpoint before, or from the beginning",
					"nothing needs this earlier checkpoint unless the newest is lost",
					"its score is kept, but it cannot be exported, and no trial will start from it",
				}[i])
			}
		}
	}
}

func (c *checker) blob(b *blobs, hash string) error {
	if !validHash(hash) {
		return damaged("a record names the weight file %q", hash)
	}
	f, err := openVerified(b.path(hash), hash)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := fileSize(f.Name())
	c.files++
	c.bytes += size
	return err
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
