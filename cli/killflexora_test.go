package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"flexi/core/finetune/finetunetest"
	"flexi/core/model"
)

// tuneConfig lets every part of a Flexora run matter within seconds: both stages, the ranks of AdaLoRA, and a checkpoint at nearly every step.
const tuneConfig = `
preset: encoder
max_seq: 16
layers: 2
lora: {rank: 2, dropout: 0.1}
search: {outer_steps: 30, held: 16, micro_batch: 8, rule: topk=2, average: 3}
tune: {epochs: 6, batch: 8, lr: 0.005}
checkpoint_seconds: 0.01
`

// TestKilledFlexoraEqualsCalmOne: kill -9 at random instants of either stage changes no byte of what a Flexora run finds: alphas, layers, adapters, scores.
func TestKilledFlexoraEqualsCalmOne(t *testing.T) {
	folder, data := finetunetest.WriteFolder(t, finetunetest.TinyBERT, model.Objective{Kind: model.Classify, Labels: 2}, nil)
	stormOf(t, stormKills, func() string {
		dir := t.TempDir()
		start := fmt.Sprintf("flexora --config tune.yaml --model %s --data %s --task SST-2 --selectors flexora,adalora,random --workspace ws --plain", folder, data)
		for name, text := range map[string]string{"tune.yaml": tuneConfig, "start": start} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		return dir
	})
}
