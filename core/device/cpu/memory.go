package cpu

import (
	"fmt"
	"sync/atomic"
)

// live are the bytes that Alloc has given out and Free has not taken back. The system hands out memory when it is first touched, so what is free
// says nothing of what was promised a moment ago.
var live atomic.Int64

// smallest allocation that is worth looking at what is free.
const checkedBytes = 16 << 20

// reserve refuses an allocation for which there is no memory: the kernel would end the whole process instead, as soon as it is used.
func reserve(bytes int) error {
	now := live.Add(int64(bytes))
	if bytes < checkedBytes {
		return nil
	}
	limit, known := memoryForProcess()
	if !known || now <= limit {
		return nil
	}
	live.Add(-int64(bytes))
	return fmt.Errorf("allocate %.2f GB on the CPU: the models in training hold %.2f GB, and this process can have %.2f GB; "+
		"fewer workers, a smaller batch or shorter sequences need less",
		float64(bytes)/1e9, float64(now-int64(bytes))/1e9, float64(limit)/1e9)
}
