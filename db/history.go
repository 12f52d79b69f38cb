package db

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

// chunkPoints is how many points of a trial's curves share one key: a key per point would cost a page of overhead for each.
const chunkPoints = 256

// AddPoints implements run.Store. They are durable up to 200 ms later.
func (s *Store) AddPoints(ctx context.Context, id string, trial int, points []run.Point) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return fmt.Errorf("store curves of trial %d of %s: %w", trial, id, err)
	}
	points = slices.Clone(points)
	s.writer.add(false, change{apply: func(tx *writing) error {
		return appendPoints(tx, id, trial, points)
	}})
	return nil
}

// appendPoints fills the trial's last chunk and begins new ones.
func appendPoints(tx *writing, id string, trial int, points []run.Point) error {
	chunk, last := 0, []run.Point(nil)
	if key, value := lastWithPrefix(tx.bucket(pointsBucket), trialKey(id, trial)); key != nil {
		var err error
		if _, _, chunk, err = parseChunkKey(key); err != nil {
			return err
		}
		if last, err = unsealPoints(key, value); err != nil {
			return err
		}
	}
	for points = append(last, points...); len(points) > 0; chunk++ {
		n := min(len(points), chunkPoints)
		key := chunkKey(id, trial, chunk)
		if err := tx.put(pointsBucket, key, seal(pointsBucket, key, encodePoints(points[:n]))); err != nil {
			return err
		}
		points = points[n:]
	}
	return nil
}

func unsealPoints(key, value []byte) ([]run.Point, error) {
	payload, err := unseal(pointsBucket, key, value)
	if err != nil {
		return nil, err
	}
	points, err := decodePoints(payload)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyName(pointsBucket, key), err)
	}
	return points, nil
}

// Points implements run.Store, in the order they were added.
func (s *Store) Points(ctx context.Context, id string, trial int) ([]run.Point, error) {
	var points []run.Point
	err := s.read(ctx, func(tx *bbolt.Tx) error {
		return eachWithPrefix(tx.Bucket(pointsBucket), trialKey(id, trial), func(k, v []byte) error {
			chunk, err := unsealPoints(k, v)
			points = append(points, chunk...)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read curves of trial %d of %s: %w", trial, id, err)
	}
	return points, nil
}

// AddEvents implements run.Store. They are durable up to 200 ms later.
func (s *Store) AddEvents(ctx context.Context, events []run.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return fmt.Errorf("store events: %w", err)
	}
	last := s.seq.Add(uint64(len(events)))
	for i := range events {
		events[i].Seq = last - uint64(len(events)-1-i)
	}
	kept := slices.Clone(events)
	s.writer.add(false, change{apply: func(tx *writing) error {
		for _, e := range kept {
			if err := tx.putJSON(eventsBucket, eventKey(e.Run, e.Seq), e); err != nil {
				return err
			}
		}
		return nil
	}})
	return nil
}

// Events implements run.Store.
func (s *Store) Events(ctx context.Context, id string, n int) ([]run.Event, error) {
	var events []run.Event
	err := s.read(ctx, func(tx *bbolt.Tx) error {
		if id != "" {
			return newestEvents(tx, id, n, &events)
		}
		if err := newestEvents(tx, "", n, &events); err != nil {
			return err
		}
		return tx.Bucket(runsBucket).ForEach(func(k, _ []byte) error { return newestEvents(tx, string(k), n, &events) })
	})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	slices.SortFunc(events, func(a, b run.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return events[max(0, len(events)-n):], nil
}

// newestEvents appends the newest n events of a run, newest first.
func newestEvents(tx *bbolt.Tx, id string, n int, events *[]run.Event) error {
	prefix := runPrefix(id)
	c := tx.Bucket(eventsBucket).Cursor()
	for k, v := seekLast(c, prefix); n > 0 && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
		var e run.Event
		if err := unsealJSON(eventsBucket, k, v, &e); err != nil {
			return err
		}
		*events = append(*events, e)
		n--
	}
	return nil
}

// eachWithPrefix calls f for every record whose key begins with prefix.
func eachWithPrefix(b *bbolt.Bucket, prefix []byte, f func(k, v []byte) error) error {
	c := b.Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if err := f(k, v); err != nil {
			return err
		}
	}
	return nil
}

// seekLast places c on the last key not after those with prefix.
func seekLast(c *bbolt.Cursor, prefix []byte) (k, v []byte) {
	after := append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, 9)...)
	if k, v = c.Seek(after); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func lastWithPrefix(b *bbolt.Bucket, prefix []byte) (k, v []byte) {
	if k, v = seekLast(b.Cursor(), prefix); bytes.HasPrefix(k, prefix) {
		return k, v
	}
	return nil, nil
}
