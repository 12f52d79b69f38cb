package text

import "container/heap"

// symbol is a stretch of a word while it is being merged, linked to its neighbours.
type symbol struct {
	text           string
	previous, next int // -1 at the ends; next is -2 once the symbol has been merged into another
}

const merged = -2

// pair is a possible merge: the symbol at a place with the one after it, as they read when the pair was seen.
type pair struct {
	rank, at    int
	left, right string
}

// pairQueue orders pairs by rank, and pairs of equal rank from left to right.
type pairQueue []pair

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(pair)) }
func (q *pairQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// mergePairs joins the neighbours of lowest rank until no pair has one. A queue keeps words without end, such as a line of dashes, from taking quadratic time.
func mergePairs(texts []string, ranks map[[2]string]int) []string {
	symbols := make([]symbol, len(texts))
	for i, t := range texts {
		symbols[i] = symbol{t, i - 1, i + 1}
	}
	if len(symbols) > 0 {
		symbols[len(symbols)-1].next = -1
	}
	queue := make(pairQueue, 0, len(symbols))
	see := func(at int) {
		if at < 0 || symbols[at].next < 0 {
			return
		}
		left, right := symbols[at].text, symbols[symbols[at].next].text
		if r, ok := ranks[[2]string{left, right}]; ok {
			heap.Push(&queue, pair{r, at, left, right})
		}
	}
	for i := range symbols {
		see(i)
	}
	for len(queue) > 0 {
		p := heap.Pop(&queue).(pair)
		s := &symbols[p.at]
		if s.next < 0 || s.text != p.left || symbols[s.next].text != p.right {
			continue // one of the two has been merged meanwhile
		}
		other := &symbols[s.next]
		s.text += other.text
		s.next, other.next = other.next, merged
		if s.next >= 0 {
			symbols[s.next].previous = p.at
		}
		see(s.previous)
		see(p.at)
	}
	out := texts[:0]
	for i := 0; i >= 0 && i < len(symbols); i = symbols[i].next {
		out = append(out, symbols[i].text)
	}
	return out
}
