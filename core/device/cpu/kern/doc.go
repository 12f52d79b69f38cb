// Package kern computes: matrix products and vector math on plain float32 slices, in one form per instruction set.
//
// A Table holds every kernel of one Level (Generic Go, AVX2+FMA assembly, AVX-512 assembly). FromEnv picks the level of this process, For
// returns its table; tests ask For for each level the machine has. All tables have the same functions with the same meaning.
//
// Invariants:
//   - a kernel writes its destination slice and nothing else, also at odd lengths; sources may end anywhere;
//   - an element-wise kernel gives an element the same bits wherever it stands in a slice, so work may be split anywhere;
//   - a reduction's order depends on the length of its input alone, and a matrix product's order depends on K alone, so the bits are the
//     same for any number of threads and any partition of the output;
//   - levels differ from each other in the last bits (each is deterministic in itself);
//   - nothing allocates in a steady state: packing space comes from a Workspace that a thread owns and reuses.
//
// A Pool is a fixed team of goroutines with one Workspace each. Table.Gemm spreads a product over a Pool; Table.GemmSerial runs inside
// one thread, for the small products of attention heads that are themselves the tasks of a ParallelFor.
//
// The .s files are written by the programs in gen (go generate ./core/device/cpu/kern); a test checks that they are up to date.
package kern

//go:generate go run gen/main.go gen/tile.go gen/vector.go gen/elementary.go gen/linear.go gen/reduce.go gen/pack.go gen/evex.go gen/pairs.go gen/fit.go
