package db

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

const (
	groupDelay = 200 * time.Millisecond
	groupSize  = 256
)

// change is one part of a transaction. A refusal that apply returns concerns this change alone, and apply must not have written
// anything then; every other error ends the transaction.
type change struct {
	apply func(*writing) error // nil: nothing, but somebody waits for what was queued before
	done  chan error           // nil: nobody waits
}

// writing is a transaction that is being made. It notes for the journal what is put.
type writing struct {
	tx   *bbolt.Tx
	puts []put
}

func (w *writing) bucket(name []byte) *bbolt.Bucket { return w.tx.Bucket(name) }

// appended is how full a page is left when it is split. Nearly all keys are appended, in their order, so that little is put into old pages.
const appended = 0.9

// put writes a sealed value.
func (w *writing) put(bucket, key, value []byte) error {
	w.puts = append(w.puts, put{bucket, key, value})
	b := w.tx.Bucket(bucket)
	b.FillPercent = appended
	return b.Put(key, value)
}

// putJSON writes a record. A value that cannot be encoded is a refusal: nothing was written.
func (w *writing) putJSON(bucket, key []byte, v any) error {
	value, err := sealJSON(bucket, key, v)
	if err != nil {
		return refusal{err}
	}
	return w.put(bucket, key, value)
}

// createBucket makes a bucket; a put without a key stands for it.
func (w *writing) createBucket(name []byte) error {
	w.puts = append(w.puts, put{bucket: name})
	_, err := w.tx.CreateBucket(name)
	return err
}

// writer groups changes into transactions, in the order of their arrival.
type writer struct {
	store *Store
	kick  chan struct{} // pending grew
	quit  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	pending []change
	urgent  bool
}

func newWriter(s *Store) *writer {
	w := &writer{store: s, kick: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	go w.loop()
	return w
}

// add queues changes and returns.
func (w *writer) add(urgent bool, c ...change) {
	w.mu.Lock()
	w.pending = append(w.pending, c...)
	w.urgent = w.urgent || urgent
	w.mu.Unlock()
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// commit makes a change durable before it returns. Once it is queued it happens, whatever becomes of ctx.
func (w *writer) commit(ctx context.Context, apply func(*writing) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.store.writable(); err != nil {
		return err
	}
	return w.wait(apply)
}

// flush waits until everything queued before is durable.
func (w *writer) flush() error {
	w.mu.Lock()
	idle := len(w.pending) == 0
	w.mu.Unlock()
	if idle {
		return nil
	}
	return w.wait(nil)
}

func (w *writer) wait(apply func(*writing) error) error {
	c := change{apply, make(chan error, 1)}
	w.add(true, c)
	select {
	case err := <-c.done:
		return err
	case <-w.ended:
		select {
		case err := <-c.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// stop writes what is queued and ends the goroutine.
func (w *writer) stop() {
	close(w.quit)
	<-w.ended
}

func (w *writer) loop() {
	defer close(w.ended)
	timer := time.NewTimer(groupDelay)
	timer.Stop()
	for {
		select {
		case <-w.kick:
			if !w.due() {
				timer.Reset(groupDelay)
				continue
			}
		case <-timer.C:
		case <-w.quit:
			w.write()
			return
		}
		timer.Stop()
		w.write()
	}
}

// due reports whether the queue should be written without waiting for more.
func (w *writer) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.urgent || len(w.pending) >= groupSize
}

// write commits the queue as one transaction and answers those who wait.
func (w *writer) write() {
	w.mu.Lock()
	batch := w.pending
	w.pending, w.urgent = nil, false
	w.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	refused := make([]error, len(batch))
	err := w.transact(batch, refused)
	for i, c := range batch {
		switch {
		case c.done == nil:
		case err != nil:
			c.done <- err
		default:
			c.done <- refused[i]
		}
	}
}

func (w *writer) transact(batch []change, refused []error) error {
	s := w.store
	if err := s.readOnly.Load(); err != nil {
		return *err
	}
	if !slices.ContainsFunc(batch, func(c change) bool { return c.apply != nil }) {
		return nil
	}
	if err := s.update(func(tx *writing) error {
		for i, c := range batch {
			if c.apply == nil {
				continue
			}
			if err := c.apply(tx); err != nil {
				if _, ok := errors.AsType[refusal](err); !ok {
					return err
				}
				refused[i] = err
			}
		}
		return nil
	}); err != nil {
		return s.freeze(err)
	}
	s.measure()
	s.backups.noteChange()
	return nil
}

// update makes one transaction durable: in the journal first, then in the database.
func (s *Store) update(f func(*writing) error) error {
	last, size := s.journal.last, s.journal.size
	err := guard(func() error {
		return s.opts.disk.commit(s.bolt, func(tx *bbolt.Tx) error {
			w := &writing{tx: tx}
			if err := f(w); err != nil {
				return err
			}
			if last := s.journal.last.txid; uint64(tx.ID()) != last+1 {
				return damaged("the transaction has number %d, the journal ends with %d", tx.ID(), last)
			}
			chain, err := s.journal.append(w.puts)
			if err != nil {
				return err
			}
			return putChain(tx, chain)
		})
	})
	if err != nil && s.journal.size > size {
		s.journal.takeBack(last, size)
	}
	return err
}
