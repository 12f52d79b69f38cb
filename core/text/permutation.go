package text

import "math/bits"

// permuted is where place i of 0 to n-1 goes in the permutation of a key: a pure function, so that any place of any epoch's order is found without keeping an order.
// It is a Feistel network over the next even number of bits, walked until it falls below n (Black and Rogaway 2002).
func permuted(i, n, key uint64) uint64 {
	half := uint((bits.Len64(n-1) + 1) / 2)
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(feistelRounds) {
			left, right = right, left^mixed(right^mixed(key^round))&mask
		}
		i = left<<half | right
		if i < n {
			return i
		}
	}
}

// feistelRounds is enough that orders of small sets look random, too.
const feistelRounds = 8

// mixed spreads the bits of x (the finaliser of SplitMix64).
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// order lists where all of 0 to n-1 go in the permutation of a key.
func order(n int, key uint64) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(permuted(uint64(i), uint64(n), key))
	}
	return out
}
