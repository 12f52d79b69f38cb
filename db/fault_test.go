package db

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

var (
	errStopped = errors.New("the process has ended")
	errDevice  = errors.New("input/output error")
)

// faultyDisk counts durable steps and does something at one of them.
type faultyDisk struct {
	osDisk
	at   int // the step at which it happens, from 1; 0: never
	kind fault

	mu      sync.Mutex
	steps   int
	names   []string // what each step was
	stopped bool
	unsafe  []func()           // what a power cut takes back, in the order in which it was done
	renamed map[string][]*bool // by folder: renames that wait for its sync
	moved   map[string]string  // where temporary files went
}

type fault int

const (
	stop     fault = iota // the process ends before the step
	powerCut              // and what was not synced is gone
	failOnce              // the step fails, what comes after it does not
	ruin                  // a power cut that also leaves the database damaged
)

// step reports whether the next step may happen.
func (d *faultyDisk) step(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return errStopped
	}
	d.steps++
	d.names = append(d.names, name)
	if d.steps != d.at {
		return nil
	}
	if d.kind == failOnce {
		return errDevice
	}
	d.stopped = true
	return errStopped
}

// risk notes what a power cut would take back.
func (d *faultyDisk) risk(undo func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsafe = append(d.unsafe, undo)
}

// cutPower takes back what was not synced, newest first.
func (d *faultyDisk) cutPower() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, undo := range slices.Backward(d.unsafe) {
		undo()
	}
}

func (d *faultyDisk) temp(dir string) (diskFile, error) {
	if err := d.step("create a temporary file in " + filepath.Base(dir)); err != nil {
		return nil, err
	}
	f, err := d.osDisk.temp(dir)
	return &faultyFile{diskFile: f, disk: d}, err
}

func (d *faultyDisk) open(path string) (diskFile, error) {
	if err := d.step("open " + kindOf(path)); err != nil {
		return nil, err
	}
	f, err := d.osDisk.open(path)
	return &faultyFile{diskFile: f, disk: d}, err
}

func (d *faultyDisk) mkdir(path string) error {
	if err := d.step("make a folder"); err != nil {
		return err
	}
	return d.osDisk.mkdir(path)
}

func (d *faultyDisk) remove(path string) error {
	if err := d.step("remove " + kindOf(path)); err != nil {
		return err
	}
	return d.osDisk.remove(path)
}

// rename is taken back by a power cut until the folder is synced. What it replaced cannot be: nothing of ours is replaced but a database by its
// restored copy, after the damaged one has another name.
func (d *faultyDisk) rename(from, to string) error {
	if err := d.step("rename to " + kindOf(to)); err != nil {
		return err
	}
	if err := d.osDisk.rename(from, to); err != nil {
		return err
	}
	synced := false
	d.risk(func() {
		if !synced {
			_ = os.Rename(to, from)
		}
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.renamed == nil {
		d.renamed, d.moved = map[string][]*bool{}, map[string]string{}
	}
	d.moved[from] = to
	d.renamed[filepath.Dir(to)] = append(d.renamed[filepath.Dir(to)], &synced)
	return nil
}

func (d *faultyDisk) syncDir(path string) error {
	if err := d.step("sync folder " + filepath.Base(path)); err != nil {
		return err
	}
	d.mu.Lock()
	for _, synced := range d.renamed[path] {
		*synced = true
	}
	delete(d.renamed, path)
	d.mu.Unlock()
	return d.osDisk.syncDir(path)
}

func (d *faultyDisk) commit(b *bbolt.DB, f func(*bbolt.Tx) error) error {
	if err := d.step("begin a transaction"); err != nil {
		return err
	}
	return d.osDisk.commit(b, func(tx *bbolt.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return d.step("commit the record")
	})
}

type faultyFile struct {
	diskFile
	disk   *faultyDisk
	synced int64 // size at the last sync
	size   int64 // after the last write
	risked bool
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.disk.step("write " + kindOf(f.Name())); err != nil {
		n, _ := f.diskFile.Write(p[:len(p)/2]) // a part may have arrived
		return n, err
	}
	if !f.risked {
		f.risked = true
		if info, err := f.Stat(); err == nil {
			f.synced = info.Size()
		}
		f.disk.risk(func() {
			for _, name := range []string{f.Name(), f.disk.moved[f.Name()]} {
				if _, err := os.Stat(name); err == nil && f.synced < f.size {
					_ = os.Truncate(name, f.synced)
				}
			}
		})
	}
	n, err := f.diskFile.Write(p)
	if info, serr := f.Stat(); serr == nil {
		f.size = info.Size()
	}
	return n, err
}

func (f *faultyFile) Sync() error {
	if err := f.disk.step("sync " + kindOf(f.Name())); err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil {
		f.synced = info.Size()
	}
	return f.diskFile.Sync()
}

func kindOf(path string) string {
	name := filepath.Base(path)
	switch {
	case validHash(name):
		return "weights"
	case strings.HasPrefix(name, unfinished):
		return "an unfinished file"
	case strings.HasPrefix(name, "journal-"):
		return "the journal"
	case strings.HasPrefix(name, "flexi-"):
		return "a backup"
	}
	return name
}

// session does everything a store does to its disk, and returns the numbers of the trials that were acknowledged. It ends without an orderly end.
func session(t *testing.T, dir string, o Options) (acknowledged []int, err error) {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		return nil, err
	}
	defer s.abandon()
	ctx := t.Context()
	runs, err := s.Runs(ctx)
	if err == nil && len(runs) == 0 {
		_, err = s.CreateRun(ctx, run.Run{Kind: "search"})
	}
	if err != nil {
		return nil, err
	}
	trials, err := s.Trials(ctx, "search-01")
	if err != nil {
		return nil, err
	}
	if err := checkpointed(t, s, len(trials)); err != nil {
		return nil, err
	}
	return []int{len(trials)}, s.backupTo(filepath.Join(dir, backupsFolder, "flexi-"+o.Clock().UTC().Format(backupTime)+".db"))
}

// checkpointed stores a trial with two checkpoints, one after the other, and then its weights.
func checkpointed(t *testing.T, s *Store, n int) error {
	for step := range 2 {
		hash, _, err := s.PutBlob(t.Context(), func(w io.Writer) error { _, err := fmt.Fprintf(w, "trial %d, step %d", n, step); return err })
		if err != nil {
			return err
		}
		if err := s.PutTrial(t.Context(), run.Trial{Run: "search-01", ID: n, State: run.Paused, Checkpoint: hash}, nil); err != nil {
			return err
		}
	}
	return writeTrial(t.Context(), s, "search-01", n)
}

// abandon ends the process's part: nothing more reaches the disk.
func (s *Store) abandon() {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.writer.stop()
		s.backups.changed.Store(false)
		s.backups.stop()
		_ = errors.Join(s.journal.close(), s.bolt.Close(), unlock(s.lock))
	})
}

// TestEveryStep stops the process, cuts the power, or fails once at each durable step in turn: of a first session, of a second one, and of one that
// has to restore a damaged database. What was acknowledged must be there afterwards, whole, and the next session must go on.
func TestEveryStep(t *testing.T) {
	starts := map[string]func(t *testing.T, dir string, o Options){
		"new workspace": func(*testing.T, string, Options) {},
		"second session": func(t *testing.T, dir string, o Options) {
			if _, err := session(t, dir, o); err != nil {
				t.Fatal(err)
			}
		},
		"damaged database": func(t *testing.T, dir string, o Options) {
			if _, err := session(t, dir, o); err != nil {
				t.Fatal(err)
			}
			cut(t, filepath.Join(dir, databaseFile), 5000)
		},
	}
	for name, prepare := range starts {
		for kind, what := range []string{"stop", "power cut", "failure", "power cut and damage"} {
			t.Run(name+"/"+what, func(t *testing.T) { everyStep(t, fault(kind), prepare) })
		}
	}
}

// memoryDir is a folder where a sync costs nothing, if the system has one.
func memoryDir(t *testing.T) string {
	t.Helper()
	const shm = "/dev/shm"
	if _, err := os.Stat(shm); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shm, "flexi-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func everyStep(t *testing.T, kind fault, prepare func(*testing.T, string, Options)) {
	calm := &faultyDisk{}
	clock := newClock()
	dir := memoryDir(t)
	prepare(t, dir, Options{Clock: clock.Now})
	if _, err := session(t, dir, Options{Clock: clock.Now, disk: calm}); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= calm.steps; at++ {
		dir, d := memoryDir(t), &faultyDisk{at: at, kind: kind}
		o := Options{Clock: clock.Now}
		prepare(t, dir, o)
		before := countTrials(dir)
		o.disk = d
		acknowledged, err := session(t, dir, o)
		what := fmt.Sprintf("step %d", at)
		if at <= len(d.names) {
			what += ", " + d.names[at-1]
		}
		if err != nil && !strings.Contains(err.Error(), errStopped.Error()) && !strings.Contains(err.Error(), errDevice.Error()) { // bbolt does not wrap
			t.Fatalf("%s: %v", what, err)
		}
		if kind == powerCut || kind == ruin {
			d.cutPower()
		}
		if kind == ruin && len(backupFiles(dir)) > 0 {
			_ = os.Truncate(filepath.Join(dir, databaseFile), 5000) // a restore may have been cut off before it was there
		}
		if !t.Run("", func(t *testing.T) { checkAfterFault(t, dir, before, acknowledged) }) {
			t.Fatalf("%s: the workspace is not as it should be (%v)", what, err)
		}
	}
	t.Logf("%d steps", calm.steps)
}

// countTrials is how many trials a sound database, or the backup and journal of a damaged one, hold.
func countTrials(dir string) int {
	if inv, err := takeInventory(filepath.Join(dir, databaseFile)); err == nil {
		return inv.nTrials
	}
	if len(backupFiles(dir)) > 0 {
		return 1
	}
	return 0
}

func checkAfterFault(t *testing.T, dir string, before int, acknowledged []int) {
	clock := newClock()
	clock.Advance(time.Minute)
	s := open(t, dir, Options{Clock: clock.Now})
	trials, err := s.Trials(t.Context(), "search-01")
	if err != nil || len(trials) < before+len(acknowledged) {
		t.Fatalf("%d trials; there were %d, and %v were acknowledged after that; %v", len(trials), before, acknowledged, err)
	}
	for i, tr := range trials {
		for _, hash := range filesOf(tr) {
			if hash == "" {
				continue
			}
			f, err := s.OpenBlob(hash)
			if err != nil {
				t.Fatalf("trial %d: %v", i, err)
			}
			f.Close()
		}
		if i < before+len(acknowledged) && (tr.State != run.Done || tr.Weights == "") {
			t.Errorf("trial %d is %s", i, tr.State)
		}
	}
	for _, n := range s.Notices() {
		// Half a record at the end of a journal may as well be damage to a whole one.
		if !strings.Contains(n, "the journal gave back") && !strings.Contains(n, "nothing happened since then") && !strings.Contains(n, "may be missing") {
			t.Errorf("notice: %s", n)
		}
	}
	s.abandon()
	if _, err := session(t, dir, Options{Clock: clock.Now}); err != nil {
		t.Errorf("the next session: %v", err)
	}
}
