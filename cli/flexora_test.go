package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/finetune/finetunetest"
	"flexi/core/model"
)

// TestFlexoraCommands goes the whole way that a person goes: plan, train, look, export; and what is wrong is said with the exit codes of the contract.
func TestFlexoraCommands(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tune.yaml"), []byte(tuneConfig), 0o600))
	flexi := func(code int, args ...string) string {
		t.Helper()
		cmd := flexiCommand(t, dir, append(args, "--workspace", "ws")...)
		out, err := cmd.CombinedOutput()
		if exit, ok := err.(*exec.ExitError); ok {
			require.Equal(t, code, exit.ExitCode(), "%v: %s", args, out)
		} else {
			require.NoError(t, err)
			require.Zero(t, code, "%v: %s", args, out)
		}
		return string(out)
	}
	of := func(more ...string) []string {
		return append(strings.Fields("flexora --plain --config tune.yaml --model "+folder+" --data "+data), more...)
	}
	has := func(text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			require.Contains(t, text, p)
		}
	}

	has(flexi(0, of("--task", "SST-2", "--dry-run")...), "attention.self.query", "attention.self.value")
	require.NoDirExists(t, filepath.Join(dir, "ws"), "a dry run leaves nothing behind")
	has(flexi(2, of("--task", "piqa")...), "an encoder")
	has(flexi(2, of("--task", "SST-2", "--rule", "topk=9")...), "search.rule", "the model has 4 layers")
	has(flexi(2, of("--task", "SST-2", "--model", dir)...), "config.json")

	has(flexi(0, of("--task", "SST-2", "--selectors", "flexora,all")...), "flexora-01 is done")
	text := flexi(0, "show", "flexora-01", "0")
	has(text, "choice of layers", "outer step 30 of 30", "rule topk=2", "chosen: ", "2 of 4", "multiplier", "validation loss")
	require.NotContains(t, text, "alpha 00", "the table of layers says it")
	has(flexi(0, "show", "flexora-01", "0", "--json"), `"Series":"alpha 03"`, `"Chosen":[`, `"detail":{"selector":"flexora"`)
	has(flexi(3, "freeze", "flexora-01"), "no layer search of flexora-01 is being worked on")
	flexi(0, "export", "flexora-01", "--trial", "0", "--format", "peft", "--out", "adapter")
	for _, name := range []string{"adapter_config.json", "adapter_model.safetensors", "flexora.json"} {
		require.FileExists(t, filepath.Join(dir, "adapter", name))
	}
	flexi(0, "export", "flexora-01", "--trial", "0", "--format", "merged", "--out", "merged")
	require.FileExists(t, filepath.Join(dir, "merged", "model.safetensors"))
}
