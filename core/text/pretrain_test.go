package text

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// distinctWords is a corpus in which no word occurs twice, so that a row is known by its words: n documents of size words.
func distinctWords(t testing.TB, n, size int, o PretrainOptions) (*Pretraining, Tokenizer) {
	t.Helper()
	tok := numbered(t, n*size)
	var c Corpus
	for i := range n {
		c.Documents = append(c.Documents, wordRange(i*size, (i+1)*size))
	}
	p, err := NewPretraining(t.Context(), tok, c, o)
	require.NoError(t, err)
	return p, tok
}

// unmasked is the rows of a batch as they were before masking.
func unmasked(b Batch) [][]int32 {
	ids := slices.Clone(b.IDs)
	for i, at := range b.Picked {
		if at >= 0 {
			ids[at] = b.Labels[i]
		}
	}
	return slices.Collect(slices.Chunk(ids, b.T))
}

func TestPretrainingBatchIsAFunctionOfTheStep(t *testing.T) {
	o := PretrainOptions{Seq: 16, Batch: 3, Seed: 7}
	p, tok := distinctWords(t, 5, 200, o)
	again, _ := distinctWords(t, 5, 200, o)
	var want []Batch
	for step := range uint64(60) {
		want = append(want, p.Batch(step))
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range want {
				// Each worker walks in another direction and so through other epochs at the same time.
				step := (i*(2*worker+1) + 11*worker) % len(want)
				if !equalBatches(want[step], again.Batch(uint64(step))) {
					t.Errorf("batch %d depends on more than its step", step)
				}
			}
		})
	}
	wg.Wait()
	require.False(t, equalBatches(want[0], want[1]))
	o.Seed++
	other, err := NewPretraining(t.Context(), tok, Corpus{Documents: []string{wordRange(0, 1000)}}, o)
	require.NoError(t, err)
	require.False(t, equalBatches(want[0], other.Batch(0)))
	require.NotPanics(t, func() { p.Batch(math.MaxUint32) })
}

func equalBatches(a, b Batch) bool {
	return a.B == b.B && a.T == b.T && slices.Equal(a.IDs, b.IDs) && slices.Equal(a.Segments, b.Segments) && slices.Equal(a.Lengths, b.Lengths) &&
		slices.Equal(a.Picked, b.Picked) && slices.Equal(a.Labels, b.Labels) && slices.Equal(a.Targets, b.Targets)
}

func TestPretrainingPicks(t *testing.T) {
	for _, o := range []PretrainOptions{{Seq: 3, Batch: 1}, {Seq: 21, Batch: 3}, {Seq: 16, Batch: 4}, {Seq: 33, Batch: 5, Seed: 3}} {
		p, tok := distinctWords(t, 3, 150, o)
		special := tok.Special()
		count := max(1, int(math.Round(0.15*float64(o.Seq*o.Batch))))
		for step := range uint64(20) {
			b := p.Batch(step)
			require.Equal(t, []int{o.Batch, o.Seq}, []int{b.B, b.T})
			require.Len(t, b.Picked, count)
			require.Len(t, b.Labels, count)
			require.True(t, slices.IsSorted(b.Picked) && len(slices.Compact(slices.Clone(b.Picked))) == count, "picked positions rise: %v", b.Picked)
			for _, label := range b.Labels {
				require.NotContains(t, special.list(), label)
			}
			for i, r := range unmasked(b) {
				require.Equal(t, []int32{special.CLS, special.SEP}, []int32{r[0], r[o.Seq-1]})
				require.NotContains(t, r, special.Mask, "row %d: every mask stands at a picked position", i)
			}
			require.Equal(t, slices.Repeat([]int32{int32(o.Seq)}, o.Batch), b.Lengths)
			require.Equal(t, make([]int32, o.Batch*o.Seq), b.Segments)
		}
	}
}

// TestPretrainingShares compares the 80, 10 and 10 per cent with what five standard deviations of a binomial distribution allow.
func TestPretrainingShares(t *testing.T) {
	p, tok := distinctWords(t, 4, 300, PretrainOptions{Seq: 32, Batch: 16, Seed: 1})
	special := tok.Special()
	var masked, kept, replaced float64
	seen := map[int32]bool{}
	for step := range uint64(300) {
		b := p.Batch(step)
		for i, at := range b.Picked {
			switch id := b.IDs[at]; {
			case id == special.Mask:
				masked++
			case id == b.Labels[i]:
				kept++
			default:
				require.NotContains(t, special.list(), id)
				replaced++
				seen[id] = true
			}
		}
	}
	n := masked + kept + replaced
	require.Equal(t, 300.0*77, n)
	for _, c := range []struct{ got, share float64 }{{masked, 0.8}, {replaced, 0.1 * 1199 / 1200}, {kept, 0.1 + 0.1/1200}} {
		require.InDelta(t, n*c.share, c.got, 5*math.Sqrt(n*c.share*(1-c.share)))
	}
	require.Greater(t, len(seen), 900, "random words are drawn from the whole vocabulary")
}

func TestPretrainingPicksNoSpecialToken(t *testing.T) {
	tok := numbered(t, 3)
	// Three words among separators, unknown words and written-out special tokens.
	c := Corpus{Documents: []string{"", "", "[MASK] [MASK] [PAD] unknown x x x x x x", "", "w0 [CLS] w1", "w2", "", "", "", ""}}
	p, err := NewPretraining(t.Context(), tok, c, PretrainOptions{Seq: 14, Batch: 5, Seed: 2})
	require.NoError(t, err)
	require.Equal(t, 1, p.Rows())
	for step := range uint64(10) {
		b := p.Batch(step)
		require.Len(t, b.Picked, 11, "0.15 times 70")
		for i, at := range b.Picked {
			if at < 0 {
				require.Equal(t, int32(-1), b.Labels[i])
				continue
			}
			require.GreaterOrEqual(t, b.Labels[i], int32(firstWord))
		}
	}
	p, err = NewPretraining(t.Context(), tok, Corpus{Documents: []string{"x x x w1 x x x x x x x x"}}, PretrainOptions{Seq: 14, Batch: 1, Seed: 2})
	require.NoError(t, err)
	b := p.Batch(0)
	require.Equal(t, []int32{4, -1}, b.Picked, "what cannot be picked is -1, behind the others")
	require.Equal(t, []int32{firstWord + 1, -1}, b.Labels)
}

func TestPretrainingEpochs(t *testing.T) {
	p, _ := distinctWords(t, 3, 101, PretrainOptions{Seq: 12, Batch: 4, Seed: 5})
	require.Equal(t, (303+2)/10, p.Rows())
	require.Equal(t, p.Rows()*12, p.Tokens())
	var order [][]int32
	for step := range uint64(3 * p.Rows()) { // four rows a step: twelve epochs
		for _, r := range unmasked(p.Batch(step)) {
			order = append(order, r)
		}
	}
	var first []int32
	for epoch := range slices.Chunk(order, p.Rows()) {
		var starts []int32
		for _, r := range epoch {
			starts = append(starts, slices.Max(r))
		}
		if first == nil {
			first = starts
			require.False(t, slices.IsSorted(starts), "rows are shuffled")
		} else {
			require.NotEqual(t, first, starts, "every epoch has its own order")
		}
		slices.Sort(starts)
		require.Len(t, slices.Compact(starts), p.Rows(), "an epoch holds every row once")
	}
}

func TestPretrainingValidation(t *testing.T) {
	o := PretrainOptions{Seq: 10, Batch: 2, Seed: 9, ValidationShare: 0.25}
	p, _ := distinctWords(t, 8, 40, o)
	again, _ := distinctWords(t, 8, 40, o)
	batches := p.ValidationBatches()
	require.Len(t, batches, 5, "81 tokens are ten rows of eight")
	const held = firstWord + 6*40 // the first word of the last two documents
	for i, b := range batches {
		require.True(t, equalBatches(b, again.ValidationBatches()[i]), "validation batches are always the same")
		for _, r := range unmasked(b) {
			for _, id := range r {
				require.True(t, id < firstWord || id >= held)
			}
		}
	}
	for step := range uint64(p.Rows()) {
		for _, r := range unmasked(p.Batch(step)) {
			require.Less(t, slices.Max(r), int32(held))
		}
	}
	p, _ = distinctWords(t, 10, 100, PretrainOptions{Seq: 10, Batch: 2, ValidationShare: 0.5})
	require.Len(t, p.ValidationBatches(), validationBatches)
	p, _ = distinctWords(t, 10, 100, PretrainOptions{Seq: 10, Batch: 2})
	require.Empty(t, p.ValidationBatches())
}

func TestPretrainingRefuses(t *testing.T) {
	good := PretrainOptions{Seq: 8, Batch: 1}
	long := Corpus{Name: "c", Documents: []string{wordRange(0, 6)}}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		tok    Tokenizer
		corpus Corpus
		o      PretrainOptions
		want   string
	}{
		{t.Context(), numbered(t, 6), long, PretrainOptions{Seq: 2, Batch: 1}, "of 2 tokens"},
		{t.Context(), numbered(t, 6), long, PretrainOptions{Seq: 8}, "of 0 rows"},
		{t.Context(), numbered(t, 0), long, good, "no words beside the special tokens"},
		{t.Context(), numbered(t, 6), Corpus{Name: "c", Documents: []string{wordRange(0, 5)}}, good, "corpus c is shorter than one row of 8 tokens"},
		{canceled, numbered(t, 6), long, good, "context canceled"},
	} {
		_, err := NewPretraining(c.ctx, c.tok, c.corpus, c.o)
		require.ErrorContains(t, err, c.want)
	}
	_, err := NewPretraining(t.Context(), numbered(t, 6), long, good)
	require.NoError(t, err)
}

func TestPretrainingReportsProgress(t *testing.T) {
	var calls, last atomic.Int64
	o := PretrainOptions{Seq: 16, Batch: 3, Progress: func(done, all int) {
		calls.Add(1)
		if all != 50 {
			t.Errorf("%d documents, not 50", all)
		}
		if done == all {
			last.Add(1)
		}
	}}
	distinctWords(t, 50, 20, o)
	require.EqualValues(t, 50, calls.Load())
	require.EqualValues(t, 1, last.Load())
}
