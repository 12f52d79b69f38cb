package text

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// lengthStep is what row lengths are rounded up to: few shapes, little padding.
const lengthStep = 8

// LoaderOptions shape the batches of a task.
type LoaderOptions struct {
	Batch, MaxSeq int
	Seed          uint64
	Limit         int // most training examples; 0 takes all
}

// Loader gives batches of a task. Rows of similar length share a batch, whose length is rounded up to a multiple of 8. It is safe for concurrent use.
type Loader struct {
	task  Task
	o     LoaderOptions
	s     Special
	train []encoded
	sets  []DevSet

	buckets *buckets // of the training rows
}

// encoded is a row in tokens.
type encoded struct {
	ids    []int32
	second int // where segment 1 begins
	label  int32
	target float32
}

// DevSet is a development set in batches.
type DevSet struct {
	Name    string // "" for the main one
	Rows    int
	Batches []DevBatch
}

// DevBatch is a batch with the places of its rows in the set.
type DevBatch struct {
	Batch
	Index []int
}

// NewLoader tokenises a task. Rows are [CLS] a [SEP] or [CLS] a [SEP] b [SEP]; too long ones lose tokens from the end of the longer sentence.
func NewLoader(tok Tokenizer, t Task, o LoaderOptions) (*Loader, error) {
	if o.Batch < 1 || o.MaxSeq < lengthStep {
		return nil, fmt.Errorf("batches of %d rows of up to %d tokens: at least 1 and %d are needed", o.Batch, o.MaxSeq, lengthStep)
	}
	l := &Loader{task: t, o: o, s: tok.Special()}
	if err := l.s.frames(); err != nil {
		return nil, err
	}
	rows := sample(t, o)
	l.train = l.encodeAll(tok, rows)
	lengths := make([]int, len(l.train))
	for i, e := range l.train {
		lengths[i] = len(e.ids)
	}
	l.buckets = newBuckets(lengths, o.Batch, o.Seed)
	l.sets = append(l.sets, l.devSet("", l.encodeAll(tok, t.Dev)))
	for _, name := range slices.Sorted(maps.Keys(t.ExtraDev)) {
		l.sets = append(l.sets, l.devSet(name, l.encodeAll(tok, t.ExtraDev[name])))
	}
	return l, nil
}

// sample caps the training rows: a seeded choice with the labels in the proportions of the whole.
func sample(t Task, o LoaderOptions) []Example {
	n := len(t.Train)
	if o.Limit == 0 || n <= o.Limit {
		return t.Train
	}
	groups := map[int][]int{}
	for _, i := range order(n, mixed(o.Seed)) {
		label := t.Train[i].Label
		groups[label] = append(groups[label], int(i))
	}
	var chosen []int
	seen, labels := 0, max(1, len(t.Labels))
	for label := range labels {
		// Rounding the cumulative shares keeps the total exact.
		before := seen * o.Limit / n
		seen += len(groups[label])
		chosen = append(chosen, groups[label][:seen*o.Limit/n-before]...)
	}
	slices.Sort(chosen)
	out := make([]Example, len(chosen))
	for i, at := range chosen {
		out[i] = t.Train[at]
	}
	return out
}

func (l *Loader) encodeAll(tok Tokenizer, rows []Example) []encoded {
	out := make([]encoded, len(rows))
	for i, e := range rows {
		out[i] = l.encode(tok, e)
	}
	return out
}

func (l *Loader) encode(tok Tokenizer, e Example) encoded {
	a := tok.Encode(e.A)
	if !l.task.Pair {
		a = a[:min(len(a), l.o.MaxSeq-2)]
		ids := slices.Concat([]int32{l.s.CLS}, a, []int32{l.s.SEP})
		return encoded{ids, len(ids), int32(e.Label), float32(e.Target)}
	}
	b := tok.Encode(e.B)
	for len(a)+len(b) > l.o.MaxSeq-3 {
		if len(a) > len(b) {
			a = a[:len(a)-1]
		} else {
			b = b[:len(b)-1]
		}
	}
	ids := slices.Concat([]int32{l.s.CLS}, a, []int32{l.s.SEP}, b, []int32{l.s.SEP})
	return encoded{ids, len(a) + 2, int32(e.Label), float32(e.Target)}
}

// Task is what the batches are made of.
func (l *Loader) Task() Task { return l.task }

// Examples is the number of training rows in use.
func (l *Loader) Examples() int { return len(l.train) }

// Steps is the number of batches of an epoch, the last of which may be smaller.
func (l *Loader) Steps() int { return l.buckets.steps() }

// Batch is batch i of an epoch, both from 0: a pure function of the seed, the epoch and i.
func (l *Loader) Batch(epoch, i int) Batch { return l.batch(l.train, l.buckets.rows(epoch)[i]) }

// DevSets are the development sets, the main one first.
func (l *Loader) DevSets() []DevSet { return l.sets }

func (l *Loader) devSet(name string, rows []encoded) DevSet {
	order := make([]int32, len(rows))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(len(rows[a].ids), len(rows[b].ids)) })
	set := DevSet{Name: name, Rows: len(rows)}
	for part := range slices.Chunk(order, l.o.Batch) {
		b := DevBatch{Batch: l.batch(rows, part)}
		for _, at := range part {
			b.Index = append(b.Index, int(at))
		}
		set.Batches = append(set.Batches, b)
	}
	return set
}

// batch pads rows to a common length.
func (l *Loader) batch(from []encoded, rows []int32) Batch {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(from[r].ids))
	}
	seq := min((longest+lengthStep-1)/lengthStep*lengthStep, max(l.o.MaxSeq, longest))
	b := Batch{B: len(rows), T: seq, IDs: make([]int32, len(rows)*seq), Segments: make([]int32, len(rows)*seq), Lengths: make([]int32, len(rows))}
	for i, r := range rows {
		e := from[r]
		line := b.IDs[i*seq:][:seq]
		for j := range line {
			line[j] = l.s.Pad
		}
		copy(line, e.ids)
		for j := e.second; j < len(e.ids); j++ {
			b.Segments[i*seq+j] = 1
		}
		b.Lengths[i] = int32(len(e.ids))
		if l.task.Regression {
			b.Targets = append(b.Targets, e.target)
		} else {
			b.Labels = append(b.Labels, e.label)
		}
	}
	return b
}

// frames reports that a tokenizer has nothing to frame an encoder's rows with.
func (s Special) frames() error {
	if s.CLS < 0 || s.SEP < 0 || s.Pad < 0 {
		return errors.New("the tokenizer has no tokens for the beginning and the end of a row: it is a decoder's")
	}
	return nil
}
