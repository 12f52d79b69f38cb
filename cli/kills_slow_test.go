//go:build slow

package cli

import "testing"

const stormKills = 200

// TestKilledSearchesOfOtherPolicies repeats the comparison for the policies that keep state of their own.
func TestKilledSearchesOfOtherPolicies(t *testing.T) {
	for _, policy := range []string{"boshnas-paper", "random", "evolution"} {
		t.Run(policy, func(t *testing.T) { storm(t, policy, 20) })
	}
}
