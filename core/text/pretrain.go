package text

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Shares of masked-language modelling (Devlin et al. 2019): of all tokens, how many are picked; of the picked, how many become the mask token, and how
// many a random word. The rest stays.
const (
	pickShare   = 0.15
	maskShare   = 0.8
	randomShare = 0.1
)

// validationBatches is the most batches that the held-out documents are used for.
const validationBatches = 8

// PretrainOptions shape the batches of pre-training.
type PretrainOptions struct {
	Seq, Batch      int
	Seed            uint64
	ValidationShare float64 // of the documents, the last ones
	// Progress, if set, is called with the documents tokenised so far and their number, from several goroutines.
	Progress func(done, all int)
}

// Pretraining gives batches for masked-language modelling. Documents are joined with [SEP] between them and cut into rows of
// [CLS], Seq-2 tokens, [SEP]; the remainder is dropped. It is safe for concurrent use.
type Pretraining struct {
	o                 PretrainOptions
	special           Special
	vocab             int32
	words             []bool  // by id: neither special nor a gap in the vocabulary
	train, validation []int32 // rows of Seq-2 tokens
}

// NewPretraining tokenises a corpus.
func NewPretraining(ctx context.Context, tok Tokenizer, c Corpus, o PretrainOptions) (*Pretraining, error) {
	s := tok.Special()
	p := &Pretraining{o: o, special: s, vocab: int32(tok.Size())}
	p.words = wordIDs(tok)
	if o.Seq < 3 || o.Batch < 1 {
		return nil, fmt.Errorf("pre-training batches of %d rows of %d tokens: at least 1 and 3 are needed", o.Batch, o.Seq)
	}
	if err := s.frames(); err != nil {
		return nil, err
	}
	if !slices.Contains(p.words, true) {
		return nil, errors.New("the vocabulary has no words beside the special tokens")
	}
	documents := tokenizeAll(ctx, tok, c.Documents, o.Progress)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	held := int(o.ValidationShare * float64(len(documents)))
	p.train = p.pack(documents[:len(documents)-held])
	p.validation = p.pack(documents[len(documents)-held:])
	if len(p.train) == 0 {
		return nil, fmt.Errorf("corpus %s is shorter than one row of %d tokens", c.Name, o.Seq)
	}
	return p, nil
}

// wordIDs says of every id whether a token has it that is not special.
func wordIDs(tok Tokenizer) []bool {
	words := make([]bool, tok.Size())
	for id := range words {
		words[id] = tok.Token(int32(id)) != "" && !slices.Contains(tok.Special().list(), int32(id))
	}
	return words
}

// tokenizeAll encodes documents on all processors, keeping their order.
func tokenizeAll(ctx context.Context, tok Tokenizer, documents []string, progress func(done, all int)) [][]int32 {
	out := make([][]int32, len(documents))
	next := make(chan int)
	var done atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				out[i] = tok.Encode(documents[i])
				if n := int(done.Add(1)); progress != nil {
					progress(n, len(documents))
				}
			}
		})
	}
	for i := range documents {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

// pack joins documents and cuts them to whole rows.
func (p *Pretraining) pack(documents [][]int32) []int32 {
	size := len(documents)
	for _, d := range documents {
		size += len(d)
	}
	all := make([]int32, 0, size)
	for i, d := range documents {
		if i > 0 {
			all = append(all, p.special.SEP)
		}
		all = append(all, d...)
	}
	width := p.o.Seq - 2
	return all[:len(all)/width*width]
}

// Rows is the number of training rows; Tokens counts theirs, special ones included.
func (p *Pretraining) Rows() int { return len(p.train) / (p.o.Seq - 2) }

// Tokens is the number of tokens of one epoch.
func (p *Pretraining) Tokens() int { return p.Rows() * p.o.Seq }

// Batch is the batch of a step: a pure function of the seed and the step. Every epoch has its own order of rows, and every step its own masks.
func (p *Pretraining) Batch(step uint64) Batch {
	rows := uint64(p.Rows())
	picked := make([]int32, p.o.Batch)
	for i := range picked {
		at := step*uint64(p.o.Batch) + uint64(i)
		picked[i] = int32(permuted(at%rows, rows, mixed(p.o.Seed)^at/rows))
	}
	return p.masked(p.train, picked, rand.New(rand.NewPCG(p.o.Seed, step<<1)))
}

// ValidationBatches are the held-out rows with fixed masks, at most a few batches; none if the held-out documents are too short.
func (p *Pretraining) ValidationBatches() []Batch {
	rows := len(p.validation) / (p.o.Seq - 2)
	var out []Batch
	for i := 0; i+p.o.Batch <= rows && len(out) < validationBatches; i += p.o.Batch {
		ids := make([]int32, p.o.Batch)
		for j := range ids {
			ids[j] = int32(i + j)
		}
		out = append(out, p.masked(p.validation, ids, rand.New(rand.NewPCG(p.o.Seed, uint64(i)<<1|1))))
	}
	return out
}

// masked builds a batch of rows of a text and picks positions to predict.
func (p *Pretraining) masked(text []int32, rows []int32, rng *rand.Rand) Batch {
	seq, width := p.o.Seq, p.o.Seq-2
	b := Batch{B: len(rows), T: seq, IDs: make([]int32, len(rows)*seq), Segments: make([]int32, len(rows)*seq), Lengths: make([]int32, len(rows))}
	candidates := make([]int32, 0, len(b.IDs))
	for i, r := range rows {
		line := b.IDs[i*seq:][:seq]
		line[0], line[seq-1] = p.special.CLS, p.special.SEP
		copy(line[1:], text[int(r)*width:][:width])
		b.Lengths[i] = int32(seq)
		for j, id := range line {
			if p.words[id] {
				candidates = append(candidates, int32(i*seq+j))
			}
		}
	}
	count := max(1, int(math.Round(pickShare*float64(len(b.IDs)))))
	n := min(count, len(candidates))
	for i := range n {
		j := i + rng.IntN(len(candidates)-i)
		candidates[i], candidates[j] = candidates[j], candidates[i]
	}
	slices.Sort(candidates[:n])
	for i := range count {
		if i >= n {
			b.Picked, b.Labels = append(b.Picked, -1), append(b.Labels, -1)
			continue
		}
		at := candidates[i]
		b.Picked, b.Labels = append(b.Picked, at), append(b.Labels, b.IDs[at])
		switch u := rng.Float64(); {
		case u < maskShare:
			b.IDs[at] = p.special.Mask
		case u < maskShare+randomShare:
			b.IDs[at] = p.word(rng)
		}
	}
	return b
}

// word is a random token that is not special.
func (p *Pretraining) word(rng *rand.Rand) int32 {
	for {
		if id := rng.Int32N(p.vocab); p.words[id] {
			return id
		}
	}
}
