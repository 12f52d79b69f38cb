package db

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Every key is built and parsed here. Numbers are big endian, so that the order of keys is the order of numbers, and a run's ID ends
// with a zero byte, so that no ID is a prefix of another's keys.

// bucket names the bbolt buckets.
var (
	metaBucket   = []byte("meta")
	runsBucket   = []byte("runs")
	trialsBucket = []byte("trials")
	jobsBucket   = []byte("jobs")
	pointsBucket = []byte("points")
	eventsBucket = []byte("events")
	viewsBucket  = []byte("views")
)

// bucketsOf are the buckets of a layout.
func bucketsOf(schema uint32) [][]byte {
	all := [][]byte{metaBucket, runsBucket, trialsBucket, jobsBucket, pointsBucket, eventsBucket, viewsBucket}
	if schema < 2 {
		return all[:6]
	}
	return all
}

// Keys of the meta bucket.
var (
	schemaKey  = []byte("schema")  // number of the layout, u32
	createdKey = []byte("created") // when the database was made, RFC 3339, UTC
	versionKey = []byte("version") // the flexi that made it
	chainKey   = []byte("chain")   // what all transactions so far have written, in short, u64
)

// checkRunID refuses IDs that cannot be part of a key.
func checkRunID(id string) error {
	if id == "" || len(id) > 200 || strings.ContainsRune(id, 0) {
		return fmt.Errorf("%q cannot name a run", id)
	}
	return nil
}

// runKey is the key of a run, of its job's state, and of its surrogate's view.
func runKey(run string) []byte { return []byte(run) }

// runPrefix begins the keys of everything that belongs to a run; run "" is for events about the whole workspace.
func runPrefix(run string) []byte { return append([]byte(run), 0) }

func trialKey(run string, trial int) []byte {
	return binary.BigEndian.AppendUint32(runPrefix(run), uint32(trial))
}

// chunkKey is the key of 256 points of a trial's curves.
func chunkKey(run string, trial, chunk int) []byte {
	return binary.BigEndian.AppendUint32(trialKey(run, trial), uint32(chunk))
}

func eventKey(run string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(runPrefix(run), seq)
}

// splitKey separates a run's ID from the n bytes of numbers behind it.
func splitKey(key []byte, n int) (run string, rest []byte, err error) {
	i := bytes.IndexByte(key, 0)
	if i < 0 || len(key) != i+1+n {
		return "", nil, damaged("malformed key %q", key)
	}
	return string(key[:i]), key[i+1:], nil
}

func parseTrialKey(key []byte) (run string, trial int, err error) {
	run, rest, err := splitKey(key, 4)
	if err != nil {
		return "", 0, err
	}
	return run, int(binary.BigEndian.Uint32(rest)), nil
}

func parseChunkKey(key []byte) (run string, trial, chunk int, err error) {
	run, rest, err := splitKey(key, 8)
	if err != nil {
		return "", 0, 0, err
	}
	return run, int(binary.BigEndian.Uint32(rest)), int(binary.BigEndian.Uint32(rest[4:])), nil
}

func parseEventKey(key []byte) (run string, seq uint64, err error) {
	run, rest, err := splitKey(key, 8)
	if err != nil {
		return "", 0, err
	}
	return run, binary.BigEndian.Uint64(rest), nil
}

// keyName is a key for people: the bucket, the run and the numbers.
func keyName(bucket, key []byte) string {
	switch string(bucket) {
	case string(trialsBucket):
		if run, trial, err := parseTrialKey(key); err == nil {
			return fmt.Sprintf("trial %d of %s", trial, run)
		}
	case string(pointsBucket):
		if run, trial, chunk, err := parseChunkKey(key); err == nil {
			return fmt.Sprintf("curves of trial %d of %s, part %d", trial, run, chunk)
		}
	case string(eventsBucket):
		if run, seq, err := parseEventKey(key); err == nil {
			return fmt.Sprintf("event %d of %s", seq, run)
		}
	case string(runsBucket):
		return fmt.Sprintf("run %s", key)
	case string(jobsBucket):
		return fmt.Sprintf("policy state of %s", key)
	case string(viewsBucket):
		return fmt.Sprintf("surrogate of %s", key)
	}
	return fmt.Sprintf("%s %q", bucket, key)
}
