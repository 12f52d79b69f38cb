//go:build !slow

package cli

// stormKills is how often a search is killed in the short form of the test.
const stormKills = 10
