package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"flexi/core/device"
	"flexi/core/device/choose"
	"flexi/core/model"
	"flexi/core/model/train"
	"flexi/core/search"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure this machine and the program"}
	cmd.AddCommand(a.benchTrainCommand(), a.benchTableCommand(), a.benchTUICommand())
	return cmd
}

// precisionUsage is what --precision is said to do.
const precisionUsage = "f32, bf16 (matrix products of bfloat16 with float32 sums; f32 where the processor has none) or auto (the faster)"

type benchTrain struct {
	model                    string
	batch, seq, steps, vocab int
	threads                  int
	precision                device.Precision
}

// benchTrainResult is one line of `flexi bench train --json`.
type benchTrainResult struct {
	Model           string             `json:"model"`
	Device          string             `json:"device"`
	Precision       device.Precision   `json:"precision"`
	Batch           int                `json:"batch"`
	Seq             int                `json:"seq"`
	Threads         int                `json:"threads"`
	Params          int64              `json:"params"`
	StepSeconds     float64            `json:"step_seconds"`
	TokensPerSecond float64            `json:"tokens_per_second"`
	FLOPPerSecond   float64            `json:"flop_per_second"`
	PeakFraction    float64            `json:"peak_fraction"`
	OpSeconds       map[string]float64 `json:"op_seconds"`
}

func (a *app) benchTrainCommand() *cobra.Command {
	var b benchTrain
	var precision string
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Time full training steps: forward, backward, AdamW, dropout 0.1, 15% of the positions predicted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.batch < 1 || b.seq < 1 || b.seq > 512 || b.steps < 1 || b.threads < 1 || b.vocab < 8 {
				return usagef("--batch, --steps and --threads must be at least 1, --seq 1 to 512, --vocab at least 8")
			}
			var err error
			if b.precision, err = device.ParsePrecision(precision); err != nil {
				return usageError{err}
			}
			arch, err := search.ParseArch(b.model)
			if err != nil {
				return usageError{err}
			}
			on, err := choose.Decide(a.device)
			if err != nil {
				return err
			}
			r, err := b.run(cmd.Context(), on, arch, a.seed)
			if err != nil {
				return err
			}
			return a.printBench(r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&b.model, "model", "bert-mini", "architecture: a name, a JSON dictionary or a file")
	f.IntVar(&b.batch, "batch", 32, "rows per step")
	f.IntVar(&b.seq, "seq", 128, "tokens per row")
	f.IntVar(&b.steps, "steps", 5, "steps timed, after two that are not")
	f.IntVar(&b.vocab, "vocab", 30522, "vocabulary size")
	f.IntVar(&b.threads, "threads", runtime.NumCPU(), "threads")
	f.StringVar(&precision, "precision", string(device.PrecisionF32), precisionUsage)
	return cmd
}

func (b benchTrain) run(ctx context.Context, on choose.Choice, arch model.Arch, seed uint64) (benchTrainResult, error) {
	dev, err := on.Open(b.threads, b.precision)
	if err != nil {
		return benchTrainResult{}, err
	}
	defer dev.Close()
	net, err := model.NewNet(dev, arch, model.DefaultConfig(b.vocab), model.Objective{Kind: model.MaskedLM}, seed)
	if err != nil {
		return benchTrainResult{}, err
	}
	defer net.Close()
	tr, err := train.New(dev, net, train.Optimizer{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}, seed)
	if err != nil {
		return benchTrainResult{}, err
	}
	defer tr.Close()

	rng := rand.New(rand.NewPCG(seed, 0))
	var times []float64
	for i := -2; i < b.steps; i++ {
		batch := b.batchOf(rng)
		if i == 0 {
			net.Timings(true)
		}
		start := time.Now()
		if _, err := tr.Step(ctx, batch); err != nil {
			return benchTrainResult{}, err
		}
		if i >= 0 {
			times = append(times, time.Since(start).Seconds())
		}
	}
	slices.Sort(times)
	median := times[len(times)/2]
	flop := net.FLOP(b.batch, b.seq, b.picked())
	r := benchTrainResult{
		Model: b.model, Device: dev.Describe(), Precision: dev.Precision(), Batch: b.batch, Seq: b.seq, Threads: b.threads, Params: stored(net),
		StepSeconds: median, TokensPerSecond: float64(b.batch*b.seq) / median, FLOPPerSecond: flop / median,
		PeakFraction: flop / median / dev.PeakFlops(), OpSeconds: map[string]float64{},
	}
	for name, d := range net.Timings(false) {
		r.OpSeconds[name] = d.Seconds() / float64(b.steps)
	}
	return r, nil
}

func (b benchTrain) picked() int { return max(1, (15*b.batch*b.seq+50)/100) }

// batchOf is random tokens with random picked positions, as the PyTorch peer's benchmark has them.
func (b benchTrain) batchOf(rng *rand.Rand) model.Batch {
	n := b.batch * b.seq
	out := model.Batch{B: b.batch, T: b.seq, IDs: make([]int32, n), Segments: make([]int32, n), Lengths: make([]int32, b.batch)}
	for i := range out.IDs {
		out.IDs[i] = rng.Int32N(int32(b.vocab))
	}
	for i := range out.Lengths {
		out.Lengths[i] = int32(b.seq)
	}
	picked := rng.Perm(n)[:b.picked()]
	slices.Sort(picked)
	for _, p := range picked {
		out.Picked = append(out.Picked, int32(p))
		out.Labels = append(out.Labels, rng.Int32N(int32(b.vocab)))
	}
	return out
}

func stored(net *model.Net) int64 {
	var n int64
	for _, p := range net.Params() {
		n += int64(p.Value.Len)
	}
	return n
}

func (a *app) printBench(r benchTrainResult) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(r)
	}
	fmt.Fprintf(a.out, "%s, batch %d x %d, %s, %s\n", r.Model, r.Batch, r.Seq, r.Precision, r.Device)
	fmt.Fprintf(a.out, "step      %.4f s (median)\ntokens/s  %.0f\nGFLOP/s   %.1f, %.2f of the peak of multiply-adds\n", r.StepSeconds, r.TokensPerSecond, r.FLOPPerSecond/1e9, r.PeakFraction)
	names := slices.SortedFunc(maps.Keys(r.OpSeconds), func(x, y string) int { return cmp.Compare(r.OpSeconds[y], r.OpSeconds[x]) })
	for _, n := range names {
		fmt.Fprintf(a.out, "  %8.2f ms  %s\n", r.OpSeconds[n]*1e3, n)
	}
	return nil
}
