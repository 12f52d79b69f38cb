//go:build !slow

package search

// boshnasProposals of 1,024 architectures take a second; with -tags slow they are 1,000.
const boshnasProposals = 120
