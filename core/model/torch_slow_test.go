//go:build slow

package model

import "testing"

// BERT-Base, with its twelve layers, agrees as the small models do.
func TestBaseStepAgainstTorch(t *testing.T) { testAgainstPeer(t, []string{"bert-base"}) }
