package peer

import "flexi/core/search"

// nearEnough is the number of neighbours that an architecture has at least, in a library of which single changes lead mostly outside.
const nearEnough = 12

// Changes answers which architectures of a library are a change of choice apart. It remembers its answers, and is not safe for concurrent use.
type Changes struct {
	codes [][]int
	known map[int][]int
}

// NewChanges prepares a library that has codes.
func NewChanges(lib *search.Library) *Changes {
	return &Changes{lib.Codes, map[int][]int{}}
}

// Of lists the architectures that differ from i in one choice; where there are fewer than 12, in the smallest number of choices that is enough for
// 12.
func (c *Changes) Of(i int) []int {
	if near, ok := c.known[i]; ok {
		return near
	}
	within := make([][]int, len(c.codes[i])+1)
	for j, other := range c.codes {
		if j != i {
			d := hamming(c.codes[i], other)
			within[d] = append(within[d], j)
		}
	}
	var near []int
	for _, ring := range within {
		if near = append(near, ring...); len(near) >= nearEnough {
			break
		}
	}
	c.known[i] = near
	return near
}

// hamming is the number of choices that differ.
func hamming(a, b []int) (n int) {
	for f, v := range a {
		if v != b[f] {
			n++
		}
	}
	return n
}
