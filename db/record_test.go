package db

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"flexi/core/run"
)

func TestPointsComeBackBitForBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOf(rapid.Custom(func(t *rapid.T) run.Point {
			return run.Point{
				Series: rapid.StringN(0, 5, -1).Draw(t, "series"),
				Step:   rapid.Int().Draw(t, "step"),
				Value:  math.Float64frombits(rapid.Uint64().Draw(t, "bits")),
			}
		})).Draw(t, "points")
		got, err := decodePoints(encodePoints(points))
		if err != nil || len(got) != len(points) {
			t.Fatalf("%d points of %d, %v", len(got), len(points), err)
		}
		for i, p := range points {
			if g := got[i]; g.Series != p.Series || g.Step != p.Step || math.Float64bits(g.Value) != math.Float64bits(p.Value) {
				t.Fatalf("point %d: %+v became %+v", i, p, g)
			}
		}
	})
}

func FuzzDecodePoints(f *testing.F) {
	f.Add(encodePoints([]run.Point{{Series: "loss", Step: 3, Value: 1}, {Series: "x", Step: -1, Value: math.NaN()}}))
	f.Add([]byte{1, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		points, err := decodePoints(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again, err := decodePoints(encodePoints(points)); err != nil || len(again) != len(points) {
			t.Fatalf("%d points became %d, %v", len(points), len(again), err)
		}
	})
}

// FuzzWalk gives the check arbitrary files: it may refuse them, never panic, and what it passes must be safe for bbolt.
func FuzzWalk(f *testing.F) {
	f.Add([]byte("not a database"))
	f.Add(make([]byte, 4096))
	sound := schema1(f)
	f.Add(sound)
	f.Add(sound[:len(sound)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		inv, err := inventoryOf(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		// What passes is read by bbolt, to the same end.
		text, _, err := content(b)
		if err != nil || text != readByBolt(t, b) {
			t.Errorf("bbolt reads something else than the check, %v (%d trials)", err, inv.nTrials)
		}
	})
}

func TestSealed(t *testing.T) {
	value := seal(runsBucket, []byte("search-01"), []byte("payload"))
	if got, err := unseal(runsBucket, []byte("search-01"), value); err != nil || string(got) != "payload" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := unseal(runsBucket, []byte("search-02"), value); !errors.Is(err, ErrDamaged) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := unseal(jobsBucket, []byte("search-01"), value); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another bucket: %v", err)
	}
	for at := range value {
		for bit := range 8 {
			broken := bytes.Clone(value)
			broken[at] ^= 1 << bit
			if _, err := unseal(runsBucket, []byte("search-01"), broken); !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d, bit %d: %v", at, bit, err)
			}
		}
	}
	for n := range value {
		if _, err := unseal(runsBucket, []byte("search-01"), value[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestKeysAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-z]{1,8}-[0-9]{2}`).Draw(t, "run")
		trial, chunk := int(rapid.Uint32().Draw(t, "trial")), int(rapid.Uint32().Draw(t, "chunk"))
		seq := rapid.Uint64().Draw(t, "seq")
		if r, n, err := parseTrialKey(trialKey(id, trial)); err != nil || r != id || n != trial {
			t.Fatalf("trial key: %s, %d, %v", r, n, err)
		}
		if r, n, c, err := parseChunkKey(chunkKey(id, trial, chunk)); err != nil || r != id || n != trial || c != chunk {
			t.Fatalf("chunk key: %s, %d, %d, %v", r, n, c, err)
		}
		if r, s, err := parseEventKey(eventKey(id, seq)); err != nil || r != id || s != seq {
			t.Fatalf("event key: %s, %d, %v", r, s, err)
		}
		if trial < math.MaxUint32 && bytes.Compare(trialKey(id, trial), trialKey(id, trial+1)) >= 0 {
			t.Fatalf("keys of trials %d and %d are out of order", trial, trial+1)
		}
	})
}

// TestFilesNamed: the short way to a trial's file names finds what the long way does, whatever the other fields say.
func TestFilesNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Just(`x","Checkpoint":"y`), rapid.Just(`,"Weights":"`))
		want := run.Trial{
			Title: text.Draw(t, "title"), Error: text.Draw(t, "error"), Arch: json.RawMessage(`{"a":1,"Checkpoint":"no"}`),
			Scores: map[string]float64{text.Draw(t, "metric"): 1}, Checkpoint: text.Draw(t, "checkpoint"), Earlier: text.Draw(t, "earlier"), Weights: text.Draw(t, "weights"),
		}
		payload, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var long namedFiles
		short, err := filesNamed(payload)
		if err := errors.Join(err, json.Unmarshal(payload, &long)); err != nil || short != long {
			t.Fatalf("%+v instead of %+v, %v", short, long, err)
		}
	})
}

// FuzzUnseal gives arbitrary values to the reader of records.
func FuzzUnseal(f *testing.F) {
	key := trialKey("search-01", 3)
	f.Add(seal(trialsBucket, key, []byte(`{"Run":"search-01","ID":3,"Score":80.5,"Checkpoint":"ab","Earlier":"","Weights":""}`)))
	f.Add(seal(trialsBucket, key, nil))
	f.Add([]byte{recordVersion, 0, 0, 0, 0, '{'})
	f.Fuzz(func(t *testing.T, value []byte) {
		var tr run.Trial
		if err := unsealJSON(trialsBucket, key, value, &tr); err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if _, err := sealJSON(trialsBucket, key, tr); err != nil {
			t.Fatalf("a trial that was read cannot be written: %v", err)
		}
	})
}

// FuzzFilesNamed: no payload makes the short way panic.
func FuzzFilesNamed(f *testing.F) {
	f.Add([]byte(`{"Title":"x","Checkpoint":"ab","Weights":"cd"}`))
	f.Add([]byte(`,"Checkpoint":"`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = filesNamed(b) })
}

// FuzzJournal gives arbitrary files to the journal's reader: whole transactions in order, or an end.
func FuzzJournal(f *testing.F) {
	last := position{4, 77}
	whole := encodeHeader(last)
	for range 3 {
		var b []byte
		b, last = encodeTransaction(4, last, []put{{runsBucket, []byte("search-01"), []byte("value")}, {bucket: viewsBucket}})
		whole = append(whole, b...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(encodeHeader(position{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		last := position{}
		j, err := readJournal(path, func(tr transaction) error {
			if last != (position{}) && tr.after != last {
				t.Fatalf("%+v does not follow %+v", tr, last)
			}
			last = tr.end
			return nil
		})
		if err == nil && (j.size > int64(len(b)) || j.torn != (j.size < int64(len(b)))) {
			t.Fatalf("%d bytes are whole of %d, torn %v", j.size, len(b), j.torn)
		}
	})
}
