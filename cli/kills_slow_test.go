//go:build slow

package cli

import (
	"testing"

	"flexi/core/search"
)

const stormKills = 200

// TestKilledSearchesOfEveryPolicy repeats the comparison for each policy.
func TestKilledSearchesOfEveryPolicy(t *testing.T) {
	for _, policy := range search.PolicyNames() {
		t.Run(policy, func(t *testing.T) { storm(t, policy, 10) })
	}
}
