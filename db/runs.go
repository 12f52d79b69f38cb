package db

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.etcd.io/bbolt"

	"flexi/core/run"
)

// CreateRun implements run.Store. The ID is the kind and the next number, from 01.
func (s *Store) CreateRun(ctx context.Context, r run.Run) (run.Run, error) {
	if err := checkRunID(r.Kind); err != nil {
		return run.Run{}, fmt.Errorf("create run: %w", err)
	}
	err := s.writer.commit(ctx, func(tx *writing) error {
		b := tx.bucket(runsBucket)
		number := 1
		c := b.Cursor()
		prefix := r.Kind + "-"
		for k, _ := c.Seek([]byte(prefix)); strings.HasPrefix(string(k), prefix); k, _ = c.Next() {
			if n, err := strconv.Atoi(string(k[len(prefix):])); err == nil {
				number = max(number, n+1)
			}
		}
		r.ID = fmt.Sprintf("%s%02d", prefix, number)
		return tx.putJSON(runsBucket, runKey(r.ID), r)
	})
	if err != nil {
		return run.Run{}, fmt.Errorf("create run: %w", err)
	}
	return r, nil
}

// UpdateRun implements run.Store.
func (s *Store) UpdateRun(ctx context.Context, r run.Run) error {
	err := s.writer.commit(ctx, func(tx *writing) error {
		if tx.bucket(runsBucket).Get(runKey(r.ID)) == nil {
			return refuse("%w", ErrNotFound)
		}
		return tx.putJSON(runsBucket, runKey(r.ID), r)
	})
	if err != nil {
		return fmt.Errorf("store run %s: %w", r.ID, err)
	}
	if r.State == run.Done {
		s.backups.request(s.opts.Clock())
	}
	return nil
}

// Runs implements run.Store, in the order of creation.
func (s *Store) Runs(ctx context.Context) ([]run.Run, error) {
	var runs []run.Run
	err := s.read(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket(runsBucket).ForEach(func(k, v []byte) error {
			var r run.Run
			if err := unsealJSON(runsBucket, k, v, &r); err != nil {
				return err
			}
			runs = append(runs, r)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	slices.SortStableFunc(runs, func(a, b run.Run) int { return a.Created.Compare(b.Created) })
	return runs, nil
}

// PutTrial implements run.Store. Trials are numbered without gaps.
func (s *Store) PutTrial(ctx context.Context, t run.Trial, state []byte) error {
	var before run.Trial
	names := filesOf(t)
	s.blobs.hold(names)
	err := s.writer.commit(ctx, func(tx *writing) error {
		if tx.bucket(runsBucket).Get(runKey(t.Run)) == nil {
			return refuse("run %s: %w", t.Run, ErrNotFound)
		}
		b := tx.bucket(trialsBucket)
		key := trialKey(t.Run, t.ID)
		if old := b.Get(key); old != nil {
			if err := unsealJSON(trialsBucket, key, old, &before); err != nil {
				return refusal{err}
			}
		} else if t.ID < 0 || t.ID > 0 && b.Get(trialKey(t.Run, t.ID-1)) == nil {
			return refuse("trials are numbered without gaps")
		}
		if err := tx.putJSON(trialsBucket, key, t); err != nil {
			return err
		}
		if state == nil {
			return nil
		}
		return tx.put(jobsBucket, runKey(t.Run), seal(jobsBucket, runKey(t.Run), state))
	})
	if err != nil {
		s.blobs.unhold(names)
		return fmt.Errorf("store trial %d of %s: %w", t.ID, t.Run, err)
	}
	s.blobs.release(filesOf(before))
	return nil
}

// filesOf are the weight files that a trial names; empty names count for nothing.
func filesOf(t run.Trial) []string { return []string{t.Checkpoint, t.Earlier, t.Weights} }

// Trials implements run.Store, in the order of proposal.
func (s *Store) Trials(ctx context.Context, id string) ([]run.Trial, error) {
	var trials []run.Trial
	err := s.read(ctx, func(tx *bbolt.Tx) (err error) {
		var records []record
		err = eachWithPrefix(tx.Bucket(trialsBucket), runPrefix(id), func(k, v []byte) error {
			records = append(records, record{k, v})
			return nil
		})
		if err == nil {
			trials, err = decodeTrials(records)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read trials of %s: %w", id, err)
	}
	return trials, nil
}

// record is a key and its value, for as long as their transaction lives.
type record struct{ key, value []byte }

// decodeTrials decodes on all cores: with 100,000 trials it is most of the program's start.
func decodeTrials(records []record) ([]run.Trial, error) {
	trials := make([]run.Trial, len(records))
	parts := min(runtime.GOMAXPROCS(0), len(records)/1000+1)
	errs := make([]error, parts)
	var wg sync.WaitGroup
	for part := range parts {
		wg.Go(func() {
			errs[part] = guard(func() error {
				for i := part * len(records) / parts; i < (part+1)*len(records)/parts; i++ {
					if err := unsealJSON(trialsBucket, records[i].key, records[i].value, &trials[i]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	return trials, errors.Join(errs...)
}

// JobState implements run.Store; nil if none was stored.
func (s *Store) JobState(ctx context.Context, id string) ([]byte, error) {
	var state []byte
	err := s.read(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(jobsBucket).Get(runKey(id))
		if value == nil {
			return nil
		}
		payload, err := unseal(jobsBucket, runKey(id), value)
		state = append([]byte{}, payload...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read policy state of %s: %w", id, err)
	}
	return state, nil
}

// PutView implements run.Store. It is durable up to 200 ms later.
func (s *Store) PutView(ctx context.Context, id string, v *run.Surrogate) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return fmt.Errorf("store surrogate of %s: %w", id, err)
	}
	value, err := sealJSON(viewsBucket, runKey(id), v)
	if err != nil {
		return err
	}
	s.writer.add(false, change{apply: func(tx *writing) error { return tx.put(viewsBucket, runKey(id), value) }})
	return nil
}

// View implements run.Store; nil if none was stored.
func (s *Store) View(ctx context.Context, id string) (*run.Surrogate, error) {
	var v *run.Surrogate
	err := s.read(ctx, func(tx *bbolt.Tx) error {
		value := tx.Bucket(viewsBucket).Get(runKey(id))
		if value == nil {
			return nil
		}
		v = &run.Surrogate{}
		return unsealJSON(viewsBucket, runKey(id), value, v)
	})
	if err != nil {
		return nil, fmt.Errorf("read surrogate of %s: %w", id, err)
	}
	return v, nil
}
