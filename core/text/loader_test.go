package text

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// pairs is a task of n rows of different lengths. The first word of a row is its number, so batches can be traced back.
func pairs(n int) Task {
	t := Task{Name: "pairs", Pair: true, Labels: []string{"a", "b", "c"}}
	for i := range n {
		t.Train = append(t.Train, Example{A: fmt.Sprintf("w%d %s", i, strings.Repeat("w1 ", i*7%23)), B: "w2" + strings.Repeat(" w3", i*5%11), Label: i * i % 3})
	}
	t.Dev = slices.Clone(t.Train[:n/3])
	t.ExtraDev = map[string][]Example{"z": slices.Clone(t.Train[n/3 : n/2]), "a": slices.Clone(t.Train[n/2:])}
	return t
}

// rowOf checks the shape of row i of a batch against the example it must come from, and gives the example's number.
func rowOf(t *testing.T, b Batch, i int, rows []Example) int {
	t.Helper()
	line, segments, n := b.IDs[i*b.T:][:b.T], b.Segments[i*b.T:][:b.T], int(b.Lengths[i])
	number := int(line[1]) - firstWord
	e := rows[number]
	a, second := len(strings.Fields(e.A)), len(strings.Fields(e.B))
	require.Equal(t, a+second+3, n)
	require.Equal(t, []int32{2, 3, 3}, []int32{line[0], line[a+1], line[n-1]}, "[CLS] a [SEP] b [SEP]")
	require.Equal(t, int32(firstWord+2), line[a+2])
	require.Equal(t, slices.Concat(make([]int32, a+2), slices.Repeat([]int32{1}, second+1), make([]int32, b.T-n)), segments)
	require.Equal(t, make([]int32, b.T-n), line[n:], "padding")
	require.Equal(t, int32(e.Label), b.Labels[i])
	return number
}

func TestLoaderEpochs(t *testing.T) {
	const n = 331
	task := pairs(n)
	for _, batch := range []int{1, 4, 10, 400} {
		l, err := NewLoader(numbered(t, n), task, LoaderOptions{Batch: batch, MaxSeq: 64, Seed: 3})
		require.NoError(t, err)
		require.Equal(t, []int{n, (n + batch - 1) / batch}, []int{l.Examples(), l.Steps()})
		var orders [][]int
		for epoch := range 3 {
			var order []int
			for i := range l.Steps() {
				b := l.Batch(epoch, i)
				require.LessOrEqual(t, b.B, batch)
				require.Zero(t, b.T%8)
				require.Less(t, b.T-int(slices.Max(b.Lengths)), 8)
				require.Empty(t, b.Targets)
				for j := range b.B {
					order = append(order, rowOf(t, b, j, task.Train))
				}
			}
			orders = append(orders, slices.Clone(order))
			slices.Sort(order)
			require.Len(t, order, n)
			require.Len(t, slices.Compact(order), n, "every row once")
		}
		require.NotEqual(t, orders[0], orders[1])
		require.NotEqual(t, orders[1], orders[2])
	}
}

// TestLoaderBucketsByLength: padding to the longest of a batch must cost much less than with batches by chance.
func TestLoaderBucketsByLength(t *testing.T) {
	l, err := NewLoader(numbered(t, 320), pairs(320), LoaderOptions{Batch: 8, MaxSeq: 64})
	require.NoError(t, err)
	var used, held int
	for i := range l.Steps() {
		b := l.Batch(0, i)
		held += b.B * b.T
		for _, n := range b.Lengths {
			used += int(n)
		}
	}
	require.Less(t, float64(held)/float64(used), 1.3)
}

func TestLoaderBatchIsAFunctionOfItsPlace(t *testing.T) {
	tok, task, o := numbered(t, 90), pairs(90), LoaderOptions{Batch: 7, MaxSeq: 40, Seed: 11}
	l, err := NewLoader(tok, task, o)
	require.NoError(t, err)
	var want [4][]Batch
	for epoch := range want {
		for i := range l.Steps() {
			want[epoch] = append(want[epoch], l.Batch(epoch, i))
		}
	}
	again, err := NewLoader(tok, task, o)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for k := range 4 * len(want[0]) {
				epoch, i := (k+worker)%4, (k*5+worker)%len(want[0])
				if !equalBatches(want[epoch][i], again.Batch(epoch, i)) {
					t.Errorf("batch %d of epoch %d depends on what was asked before", i, epoch)
				}
			}
		})
	}
	wg.Wait()
	o.Seed++
	other, err := NewLoader(tok, task, o)
	require.NoError(t, err)
	require.False(t, equalBatches(want[0][0], other.Batch(0, 0)))
}

func TestLoaderTruncates(t *testing.T) {
	for _, c := range []struct {
		a, b, max  int
		wantA, all int // words of a that stay, and the row's length
	}{
		{10, 4, 12, 5, 12}, {4, 10, 12, 4, 12}, {10, 10, 12, 5, 12}, {20, 1, 16, 12, 16}, {1, 20, 16, 1, 16}, {5, 4, 12, 5, 12}, {2, 2, 12, 2, 7}, {30, 0, 12, 10, 12}, {3, 0, 12, 3, 5},
	} {
		task := Task{Pair: c.b > 0, Labels: []string{"x"}, Train: []Example{{A: wordRange(0, c.a), B: wordRange(50, 50+c.b)}}}
		l, err := NewLoader(numbered(t, 100), task, LoaderOptions{Batch: 1, MaxSeq: c.max})
		require.NoError(t, err)
		b := l.Batch(0, 0)
		require.Equal(t, int32(c.all), b.Lengths[0], "%+v", c)
		require.LessOrEqual(t, b.T, c.max)
		want := []int32{2}
		for i := range c.wantA {
			want = append(want, int32(firstWord+i))
		}
		want = append(want, 3)
		for i := range c.all - c.wantA - 3 {
			want = append(want, int32(firstWord+50+i))
		}
		if c.b > 0 {
			want = append(want, 3)
		}
		require.Equal(t, want, b.IDs[:c.all], "%+v", c)
	}
}

func TestLoaderLimit(t *testing.T) {
	var task Task
	task.Labels = []string{"a", "b", "c"}
	for i := range 1000 {
		label := []int{0, 0, 0, 0, 0, 0, 0, 1, 1, 2}[i%10]
		task.Train = append(task.Train, Example{A: fmt.Sprintf("w%d", i), Label: label})
	}
	tok := numbered(t, 1000)
	chosen := func(limit int, seed uint64) (ids []int32, counts [3]int) {
		l, err := NewLoader(tok, task, LoaderOptions{Batch: 1000, MaxSeq: 8, Limit: limit, Seed: seed})
		require.NoError(t, err)
		b := l.Batch(0, 0)
		for i, label := range b.Labels {
			ids = append(ids, b.IDs[i*b.T+1])
			counts[label]++
		}
		slices.Sort(ids)
		require.Len(t, slices.Compact(slices.Clone(ids)), len(ids))
		return ids, counts
	}
	for _, limit := range []int{1, 7, 10, 99, 100, 333, 999, 1000, 2000, 0} {
		ids, counts := chosen(limit, 4)
		want := min(limit, 1000)
		if limit == 0 {
			want = 1000
		}
		require.Len(t, ids, want)
		for label, share := range []float64{0.7, 0.2, 0.1} {
			require.InDelta(t, share*float64(want), counts[label], 1, "limit %d, label %d", limit, label)
		}
	}
	a, _ := chosen(100, 4)
	b, _ := chosen(100, 5)
	require.NotEqual(t, a, b)
}

func TestLoaderRegression(t *testing.T) {
	task := Task{Regression: true}
	for i := range 40 {
		task.Train = append(task.Train, Example{A: fmt.Sprintf("w%d", i), Target: float64(i) / 8})
	}
	l, err := NewLoader(numbered(t, 40), task, LoaderOptions{Batch: 6, MaxSeq: 8, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 10, l.Examples())
	for i := range l.Steps() {
		b := l.Batch(0, i)
		require.Empty(t, b.Labels)
		for j, target := range b.Targets {
			require.Equal(t, float32(b.IDs[j*b.T+1]-firstWord)/8, target)
		}
	}
}

func TestLoaderDevelopmentSets(t *testing.T) {
	task := pairs(100)
	l, err := NewLoader(numbered(t, 100), task, LoaderOptions{Batch: 8, MaxSeq: 64, Limit: 5})
	require.NoError(t, err)
	var names []string
	for _, set := range l.DevSets() {
		names = append(names, set.Name)
		rows := task.Dev
		if set.Name != "" {
			rows = task.ExtraDev[set.Name]
		}
		require.Equal(t, len(rows), set.Rows)
		var index []int
		for _, b := range set.Batches {
			require.Len(t, b.Index, b.B)
			for i, at := range b.Index {
				require.Equal(t, rows[at], task.Train[rowOf(t, b.Batch, i, task.Train)])
			}
			index = append(index, b.Index...)
		}
		slices.Sort(index)
		for i, at := range index {
			require.Equal(t, i, at, "the index is a permutation of the rows")
		}
		require.Len(t, index, set.Rows)
	}
	require.Equal(t, []string{"", "a", "z"}, names)
	require.Equal(t, task, l.Task())
}

func TestLoaderRefuses(t *testing.T) {
	for _, o := range []LoaderOptions{{Batch: 0, MaxSeq: 8}, {Batch: 1, MaxSeq: 7}} {
		_, err := NewLoader(numbered(t, 9), pairs(9), o)
		require.ErrorContains(t, err, fmt.Sprintf("batches of %d rows of up to %d tokens", o.Batch, o.MaxSeq))
	}
}
