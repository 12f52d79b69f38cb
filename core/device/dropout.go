package device

// Dropout keeps an element with probability 1-P and scales it by 1/(1-P). The zero value is off.
type Dropout struct {
	P    float32
	Seed uint64
}

// On reports whether anything is dropped.
func (d Dropout) On() bool { return d.P > 0 }

// Scale is the factor of a kept element.
func (d Dropout) Scale() float32 { return 1 / (1 - d.P) }

// Threshold is compared with Hash: an element is kept if its hash is at least this.
func (d Dropout) Threshold() uint32 { return uint32(float64(d.P) * (1 << 32)) }

// Keep reports whether element i survives. Every kernel of every device uses this rule.
func (d Dropout) Keep(i uint32) bool { return Hash(d.Seed, i) >= d.Threshold() }

// Hash is the counter-based random number behind dropout: two rounds of a 32-bit avalanche mix
// (multiply-xorshift, constants by C. Wellons' hash-prospector search), keyed by the halves of the seed.
func Hash(seed uint64, i uint32) uint32 {
	return mix32(mix32(i^uint32(seed)) ^ uint32(seed>>32))
}

func mix32(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}

// StreamSeed derives the seed of one dropout site (an op of a model) at one training step (SplitMix64 finaliser).
func StreamSeed(run uint64, site, step uint32) uint64 {
	z := run + (uint64(site)<<32|uint64(step))*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
