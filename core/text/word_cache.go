package text

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Limits of the cache: frequent words are short, and text without end must not fill the memory.
const (
	cachedWords     = 1 << 18
	cachedWordBytes = 64
)

// wordCache remembers the ids of words. Its zero value is ready; it is safe for concurrent use.
type wordCache struct {
	words sync.Map // string → []int32
	size  atomic.Int64
}

// get is what model makes of a word; the result must not be changed.
func (c *wordCache) get(word string, model func(string) []int32) []int32 {
	if len(word) > cachedWordBytes {
		return model(word)
	}
	if ids, ok := c.words.Load(word); ok {
		return ids.([]int32)
	}
	ids := model(word)
	if c.size.Load() < cachedWords {
		// The clone keeps the text that word was cut from out of the cache.
		if _, known := c.words.LoadOrStore(strings.Clone(word), ids); !known {
			c.size.Add(1)
		}
	}
	return ids
}
