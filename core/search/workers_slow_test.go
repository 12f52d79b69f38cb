//go:build slow

package search

const boshnasProposals = 1000
