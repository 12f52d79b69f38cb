package runtest_test

import (
	"testing"

	"flexi/core/run"
	"flexi/core/run/runtest"
)

func TestMemory(t *testing.T) {
	runtest.TestStore(t, func() run.Store { return runtest.NewMemory() })
}
