package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"flexi/core/finetune"
	"flexi/core/run"
	"flexi/core/search"
)

func (a *app) exportCommand() *cobra.Command {
	var format, out, trial, style string
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run's results (csv, json), a trained model (hf), or an adapter (peft, merged)",
		Long: "csv: one row per trial in the order of proposal. json: one object per trial.\n" +
			"hf: a folder with config.json and model.safetensors of the best trial of a search, or of --trial.\n" +
			"peft: a folder that Hugging Face PEFT loads, with the adapter of a Flexora run's trial. merged: a whole model with the adapter in its weights.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				if w.lent && (out != "" || format == "hf" || format == "peft" || format == "merged") {
					return errElsewhere
				}
				r, err := w.find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				switch format {
				case "csv", "json":
					return a.exportTable(r, format, out)
				case "hf":
					return a.exportModel(cmd.Context(), w, r, trial, out)
				case "peft", "merged":
					return a.exportTuned(cmd.Context(), w, r, format, finetune.AdapterStyle(style), trial, out)
				default:
					return usagef("--format %q: must be csv, json, hf, peft or merged", format)
				}
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", "csv, json, hf, peft or merged")
	cmd.Flags().StringVar(&out, "out", "", "file (csv, json; default stdout) or folder (hf, peft, merged)")
	cmd.Flags().StringVar(&trial, "trial", "", "trial whose model is exported, by number or hash; the best by default")
	cmd.Flags().StringVar(&style, "style", string(finetune.LayerStyle), "how adapter_config.json names the modules: layers, or modules for tools that pass over layers_to_transform")
	return cmd
}

func (a *app) exportTable(r *run.RunView, format, path string) error {
	write := func(w io.Writer) error { return writeCSV(w, r.Trials) }
	if format == "json" {
		write = func(w io.Writer) error {
			enc := json.NewEncoder(w)
			for _, t := range r.Trials {
				if err := enc.Encode(trialJSON(*t)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if path == "" {
		return write(a.out)
	}
	return writeFile(path, write)
}

func writeCSV(w io.Writer, trials []*run.Trial) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"trial", "hash", "state", "score", "params", "seconds", "parent"}); err != nil {
		return err
	}
	for _, t := range trials {
		row := []string{strconv.Itoa(t.ID), t.Hash, string(t.State), "", strconv.FormatInt(t.Params, 10), strconv.FormatFloat(t.Seconds, 'f', 3, 64), ""}
		if t.Score != nil {
			row[3] = strconv.FormatFloat(*t.Score, 'g', -1, 64)
		}
		if t.Parent >= 0 {
			row[6] = strconv.Itoa(t.Parent)
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func (a *app) exportModel(ctx context.Context, w *workspace, r *run.RunView, name, dir string) error {
	if dir == "" {
		return usagef("--format hf writes a folder; name it with --out")
	}
	t, err := exportTrial(r, name)
	if err != nil {
		return err
	}
	if t.Weights == "" {
		return fmt.Errorf("trial %d of %s has no stored weights (state %s)", t.ID, r.ID, t.State)
	}
	blob, err := w.openBlob(a.workspace, t.Weights)
	if err != nil {
		return err
	}
	defer blob.Close()
	config, weights, err := search.ExportHF(r.Config, *t, blob)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the export folder: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "config.json"), func(f io.Writer) error { _, err := f.Write(config); return err }); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "model.safetensors"), weights); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "flexi: trial %d of %s written to %s\n", t.ID, r.ID, dir)
	return ctx.Err()
}

// exportTuned writes the adapter of a Flexora run, by itself or merged.
func (a *app) exportTuned(ctx context.Context, w *workspace, r *run.RunView, format string, style finetune.AdapterStyle, name, dir string) error {
	if r.Kind != finetune.KindName {
		return fmt.Errorf("%w: %s exports the adapter of a flexora run; %s is a %s", errRefused, format, r.ID, r.Kind)
	}
	if dir == "" {
		return usagef("--format %s writes a folder; name it with --out", format)
	}
	t, err := exportTrial(r, name)
	if err != nil {
		return err
	}
	if t.Weights == "" {
		return fmt.Errorf("trial %d of %s has no stored weights (state %s)", t.ID, r.ID, t.State)
	}
	blob, err := w.openBlob(a.workspace, t.Weights)
	if err != nil {
		return err
	}
	defer blob.Close()
	if format == "merged" {
		err = finetune.ExportMerged(ctx, r.Run, blob, dir)
	} else {
		var points []run.Point
		if points, err = w.Points(ctx, r.ID, t.ID); err == nil {
			err = finetune.ExportPEFT(ctx, r.Run, points, blob, dir, style)
		}
	}
	if err != nil {
		return fmt.Errorf("export trial %d of %s: %w", t.ID, r.ID, err)
	}
	fmt.Fprintf(a.err, "flexi: trial %d of %s (%s) written to %s, read back and compared\n", t.ID, r.ID, t.Title, dir)
	return nil
}

func exportTrial(r *run.RunView, name string) (*run.Trial, error) {
	if name != "" {
		return trialOf(r, name)
	}
	if r.Best < 0 {
		return nil, fmt.Errorf("%s has no finished trial yet; `flexi status %s` shows where it stands", r.ID, r.ID)
	}
	return r.Trials[r.Chosen()], nil
}
