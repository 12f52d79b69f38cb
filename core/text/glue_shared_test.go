package text

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSharedTasks reads the real files; the counts are those of their SOURCES.md.
func TestSharedTasks(t *testing.T) {
	dir := sharedData(t, "glue")
	for name, rows := range map[string][2]int{
		"CoLA": {8551, 1043}, "SST-2": {67349, 872}, "MRPC": {3668, 408}, "STS-B": {5749, 1500}, "QQP": {8999, 1000},
		"MNLI": {8999, 9815}, "QNLI": {8999 + 9476, 1000}, "WNLI": {635, 71},
	} {
		t.Run(name, func(t *testing.T) {
			task, err := ReadTask(dir, name, ReadOptions{SkipBad: true})
			require.NoError(t, err)
			require.Equal(t, rows, [2]int{len(task.Train), len(task.Dev)})
			require.Zero(t, task.Skipped)
		})
	}
}
