package db

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// schemaVersion numbers the layout of buckets and keys. A database with a higher number is refused, one with a lower number is copied
// and migrated one step at a time.
const schemaVersion = 2

// inventory is what a whole walk through a database file finds.
type inventory struct {
	walked
	schema  uint32
	runs    int
	trials  []trialFiles // those that name files
	nTrials int
	lastSeq uint64
	chain   uint64

	damage error // the first record that is not what was written
	// The numbers that must come next, to notice records that are gone.
	nextTrial, nextChunk map[string]int
}

// trialFiles are the files that a trial names.
type trialFiles struct {
	run                          string
	trial                        int
	checkpoint, earlier, weights string
}

func (t trialFiles) all() []string { return []string{t.checkpoint, t.earlier, t.weights} }

// takeInventory checks every page and every record of a database file, without bbolt. It returns ErrNewer or ErrDamaged, or an error of
// reading.
func takeInventory(path string) (*inventory, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return inventoryOf(f, info.Size())
}

func inventoryOf(file io.ReaderAt, size int64) (*inventory, error) {
	inv := &inventory{nextTrial: map[string]int{}, nextChunk: map[string]int{}}
	var err error
	inv.walked, err = walk(file, size, func(bucket, key, value []byte) error {
		if err := inv.record(bucket, key, value); err != nil && inv.damage == nil {
			inv.damage = err
		}
		return nil
	})
	switch {
	case inv.schema > schemaVersion:
		return nil, fmt.Errorf("%w: its layout has number %d, this flexi knows %d; update flexi, nothing was changed", ErrNewer, inv.schema, schemaVersion)
	case err != nil:
		return nil, err
	case inv.damage != nil:
		return nil, inv.damage
	case inv.schema == 0:
		return nil, damaged("the number of the layout is missing")
	}
	for _, b := range bucketsOf(inv.schema) {
		if !slices.Contains(inv.buckets, string(b)) {
			return nil, damaged("bucket %q is missing", b)
		}
	}
	return inv, nil
}

// position is where the database stands in its history.
func (inv *inventory) position() position { return position{inv.txid, inv.chain} }

func (inv *inventory) record(bucket, key, value []byte) error {
	payload, err := unseal(bucket, key, value)
	if err != nil {
		return err
	}
	switch string(bucket) {
	case string(metaBucket):
		if string(key) == string(schemaKey) && len(payload) == 4 {
			inv.schema = binary.BigEndian.Uint32(payload)
		}
		if string(key) == string(chainKey) && len(payload) == 8 {
			inv.chain = binary.BigEndian.Uint64(payload)
		}
	case string(runsBucket):
		inv.runs++
	case string(trialsBucket):
		return inv.trial(key, value)
	case string(pointsBucket):
		return inv.chunk(key)
	case string(eventsBucket):
		_, seq, err := parseEventKey(key)
		inv.lastSeq = max(inv.lastSeq, seq)
		return err
	}
	return nil
}

func (inv *inventory) trial(key, value []byte) error {
	id, n, err := parseTrialKey(key)
	if err != nil {
		return err
	}
	if n != inv.nextTrial[id] {
		return damaged("trial %d of %s is missing", inv.nextTrial[id], id)
	}
	inv.nextTrial[id]++
	inv.nTrials++
	t, err := filesNamed(value[recordHeader:])
	if err != nil {
		return damaged("decode %s: %v", keyName(trialsBucket, key), err)
	}
	if t.Checkpoint != "" || t.Earlier != "" || t.Weights != "" {
		inv.trials = append(inv.trials, trialFiles{id, n, t.Checkpoint, t.Earlier, t.Weights})
	}
	return nil
}

// namedFiles are the fields of run.Trial that name files.
type namedFiles struct{ Checkpoint, Earlier, Weights string }

// firstNamed begins the part of a trial's JSON that names files. These fields are the last of run.Trial, and within a string each quote would be escaped.
var firstNamed = []byte(`,"Checkpoint":"`)

// filesNamed reads what names files and leaves out the rest, which would cost the start of a large workspace a second.
func filesNamed(payload []byte) (n namedFiles, err error) {
	if at := bytes.LastIndex(payload, firstNamed); at >= 0 {
		payload = append([]byte("{"), payload[at+1:]...)
	}
	return n, json.Unmarshal(payload, &n)
}

func (inv *inventory) chunk(key []byte) error {
	id, trial, chunk, err := parseChunkKey(key)
	if err != nil {
		return err
	}
	of := string(trialKey(id, trial))
	if chunk != inv.nextChunk[of] {
		return damaged("%s is missing", keyName(pointsBucket, chunkKey(id, trial, inv.nextChunk[of])))
	}
	inv.nextChunk[of]++
	return nil
}

// refs counts how many records name each file.
func (inv *inventory) refs() map[string]int {
	refs := map[string]int{}
	for _, t := range inv.trials {
		for _, hash := range t.all() {
			if hash != "" {
				refs[hash]++
			}
		}
	}
	return refs
}
