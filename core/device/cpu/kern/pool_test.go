package kern

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParallelForRunsEveryTaskOnce(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		pool := NewPool(threads)
		if pool.Threads() != threads {
			t.Fatalf("a pool of %d has %d threads", threads, pool.Threads())
		}
		inUse := make([]atomic.Int32, threads)
		for round := range 300 {
			n := round % 17
			counts := make([]atomic.Int32, n)
			pool.ParallelFor(n, func(task, worker int) {
				if inUse[worker].Add(1) != 1 {
					t.Errorf("two tasks at once on worker %d", worker)
				}
				counts[task].Add(1)
				inUse[worker].Add(-1)
			})
			for task := range counts {
				if c := counts[task].Load(); c != 1 {
					t.Fatalf("%d threads, %d tasks: task %d ran %d times", threads, n, task, c)
				}
			}
		}
		pool.Close()
		pool.Close()
	}
}

func TestParallelForSharesWork(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	// Each task waits until all three are running, which ends only if three goroutines take one each.
	var running atomic.Int32
	all := make(chan struct{})
	pool.ParallelFor(3, func(int, int) {
		if running.Add(1) == 3 {
			close(all)
		}
		<-all
	})
}

func TestTaskPanicReachesTheCaller(t *testing.T) {
	boom := errors.New("boom")
	for _, threads := range []int{1, 2, 4} {
		pool := NewPool(threads)
		for bad := range 6 {
			err := catch(func() {
				pool.ParallelFor(6, func(task, _ int) {
					if task == bad {
						panic(boom)
					}
				})
			})
			if !errors.Is(err, boom) {
				t.Errorf("%d threads, task %d: caught %v", threads, bad, err)
			}
			done := atomic.Int32{}
			pool.ParallelFor(6, func(int, int) { done.Add(1) })
			if done.Load() != 6 {
				t.Errorf("after a panic %d of 6 tasks ran", done.Load())
			}
		}
		pool.Close()
	}
}

func catch(f func()) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error:
			err = v
		default:
			err = fmt.Errorf("%v", v)
		}
	}()
	f()
	return nil
}

func TestNestedParallelForIsRefused(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	err := catch(func() {
		pool.ParallelFor(2, func(int, int) { pool.ParallelFor(2, func(int, int) {}) })
	})
	if err == nil {
		t.Error("ParallelFor inside a task was not refused")
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		pool := NewPool(3)
		defer pool.Close()
		r := rand.New(rand.NewPCG(1, 2))
		large := randomProduct(r, 130, 170, 100, true, true, false, 0)
		small := randomProduct(r, 20, 30, 10, false, true, false, 0)
		x := randomFloats(r, 500)
		c := NewAdamW(1e-3, 0.9, 0.999, 1e-8, 0.01, 1, 1)
		body := func(task, worker int) {}
		step := func() {
			pool.ParallelFor(10, body)
			table.Gemm(pool, large.Gemm)
			table.GemmSerial(pool.Workspace(0), small.Gemm)
			table.GELU(x, x)
			table.Softmax(x, x, 1)
			table.AdamW(x, x, x, x, &c)
			table.MeanVar(x)
		}
		for range 20 {
			step() // every worker's workspace grows once it gets a block
		}
		// A worker may meet its first block late, so growth is allowed once in a while, steady allocation is not.
		if n := testing.AllocsPerRun(40, step); n >= 1 {
			t.Errorf("%g allocations per step", n)
		}
	})
}

// The same bits for 1, 2 and 4 threads, for products and for what is done with their blocks.
func TestThreadsDoNotChangeBits(t *testing.T) {
	forEachLevel(t, func(t *testing.T, table *Table) {
		var pools []*Pool
		for _, threads := range []int{1, 2, 4} {
			pool := NewPool(threads)
			defer pool.Close()
			pools = append(pools, pool)
		}
		r := rand.New(rand.NewPCG(21, 22))
		for _, shape := range [][3]int{{150, 130, 270}, {1000, 65, 40}, {7, 1200, 515}} {
			for layout := range 4 {
				p := randomProduct(r, shape[0], shape[1], shape[2], layout&1 != 0, layout&2 != 0, layout == 1, 3)
				var first []float32
				for _, pool := range pools {
					g := p.Gemm
					g.C = append([]float32(nil), p.before...)
					g.Epilogue = func(_, row0, row1, col0, col1 int) {
						for row := row0; row < row1; row++ {
							c := g.C[row*g.LDC+col0 : row*g.LDC+col1]
							table.GELU(c, c)
						}
					}
					table.Gemm(pool, g)
					if first == nil {
						first = g.C
					}
					for i := range first {
						if math.Float32bits(g.C[i]) != math.Float32bits(first[i]) {
							t.Fatalf("%v layout %d: element %d differs with %d threads", shape, layout, i, pool.Threads())
						}
					}
				}
			}
		}
	})
}

// BenchmarkParallelFor is the cost of handing out and collecting 64 tasks that do nothing, and of as many that take 0.1 microseconds.
func BenchmarkParallelFor(b *testing.B) {
	x := make([]float32, 4096)
	table, err := For(Detect())
	if err != nil {
		b.Fatal(err)
	}
	for _, threads := range []int{1, 2} {
		for name, body := range map[string]func(task, worker int){
			"empty": func(int, int) {},
			"short": func(int, int) { table.Sum(x) },
		} {
			b.Run(fmt.Sprintf("%s/threads=%d", name, threads), func(b *testing.B) {
				pool := NewPool(threads)
				defer pool.Close()
				for b.Loop() {
					pool.ParallelFor(64, body)
				}
			})
		}
	}
}
