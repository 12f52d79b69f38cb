package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/finetune"
)

func (a *app) benchFlexoraCommand() *cobra.Command {
	b := finetune.Bench{Warm: warmUpSteps}
	var precision string
	var threads int
	cmd := &cobra.Command{
		Use:   "flexora",
		Short: "Time steps of LoRA training of a pretrained model, and outer steps of the layer search",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.Model == "" || b.Batch < 1 || b.Seq < 2 || b.Steps < 1 || threads < 1 || b.LoRA.Rank < 1 {
				return usagef("--model must name a pretrained model, --batch, --steps, --threads and --rank be at least 1, --seq at least 2")
			}
			p, err := device.ParsePrecision(precision)
			if err != nil {
				return usageError{err}
			}
			on, err := choose.Decide(a.device)
			if err != nil {
				return err
			}
			dev, err := on.Open(threads, p)
			if err != nil {
				return err
			}
			defer dev.Close()
			b.Seed, b.LoRA.Alpha = a.seed, 2*float64(b.LoRA.Rank)
			r, err := b.Run(cmd.Context(), dev)
			if err != nil {
				return err
			}
			r.Precision = dev.Precision()
			if a.json {
				return json.NewEncoder(a.out).Encode(r)
			}
			_, err = fmt.Fprintf(a.out, "%s, %s, %s, batch %d x %d, %d parameters in adapters\nstep %.1f ms, %.0f tokens/s, outer step of the layer search %.1f ms\n"+
				"memory of weights, adapters and activations %.1f MB\n",
				r.Model, r.Device, r.Precision, r.Batch, r.Seq, r.Trained, 1e3*r.StepSeconds, r.TokensPerSecond, 1e3*r.OuterSeconds, r.MemoryMB)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.Model, "model", "", "folder or file of the pretrained model")
	f.BoolVar(&b.Random, "random", false, "draw the weights, so that --model needs no more than a config.json")
	f.IntVar(&b.Batch, "batch", 32, "rows per step")
	f.IntVar(&b.Seq, "seq", 128, "tokens per row")
	f.IntVar(&b.Steps, "steps", 5, "steps timed, after three that are not")
	f.IntVar(&b.LoRA.Rank, "rank", 8, "rank of the adapters")
	f.StringSliceVar(&b.LoRA.Targets, "targets", nil, "names of the adapted modules, or all-linear")
	f.BoolVar(&b.Recompute, "recompute", false, "compute activations again in the backward pass instead of keeping them")
	f.IntVar(&threads, "threads", runtime.NumCPU(), "threads")
	f.StringVar(&precision, "precision", string(device.PrecisionF32), precisionUsage)
	return cmd
}
