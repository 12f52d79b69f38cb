package text

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

// poolBatches is how many batches' worth of shuffled rows are sorted by length together.
const poolBatches = 32

// keptPlans is how many epochs' plans are kept: several workers train on one loader, each in an epoch of its own.
const keptPlans = 16

// buckets plans epochs in which rows of similar length share a batch. It is safe for concurrent use.
type buckets struct {
	lengths []int
	batch   int
	seed    uint64

	mu    sync.Mutex
	plans map[int][][]int32 // by epoch, the rows of every batch
}

func newBuckets(lengths []int, batch int, seed uint64) *buckets {
	return &buckets{lengths: lengths, batch: batch, seed: seed, plans: map[int][][]int32{}}
}

// steps is the number of batches of an epoch, the last of which may be smaller.
func (b *buckets) steps() int { return (len(b.lengths) + b.batch - 1) / b.batch }

// rows plans an epoch: shuffled, sorted by length within pools, cut into batches, batches shuffled.
func (b *buckets) rows(epoch int) [][]int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if plan, ok := b.plans[epoch]; ok {
		return plan
	}
	rows := order(len(b.lengths), mixed(b.seed)^uint64(epoch+1))
	for pool := range slices.Chunk(rows, poolBatches*b.batch) {
		slices.SortStableFunc(pool, func(i, j int32) int { return cmp.Compare(b.lengths[i], b.lengths[j]) })
	}
	plan := slices.Collect(slices.Chunk(rows, b.batch))
	rng := rand.New(rand.NewPCG(b.seed, uint64(epoch)))
	rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	if len(b.plans) == keptPlans {
		clear(b.plans)
	}
	b.plans[epoch] = plan
	return plan
}
