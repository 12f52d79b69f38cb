package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
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
	cmd.AddCommand(a.benchTrainCommand(), a.benchFlexoraCommand(), a.benchTableCommand(), a.benchTUICommand())
	return cmd
}

// precisionUsage is what --precision is said to do.
const precisionUsage = "f32, bf16 (matrix products of bfloat16 with float32 sums; f32 where the processor has none) or auto (the faster)"

type benchTrain struct {
	model                    string
	batch, seq, steps, vocab int
	threads, candidates      int
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
	Candidates      int                `json:"candidates"`
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
			if b.batch < 1 || b.seq < 1 || b.seq > 512 || b.steps < 1 || b.threads < 1 || b.candidates < 1 || b.vocab < 8 {
				return usagef("--batch, --steps, --threads and --candidates must be at least 1, --seq 1 to 512, --vocab at least 8")
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
	f.IntVar(&b.steps, "steps", 5, "steps timed, after three that are not")
	f.IntVar(&b.candidates, "candidates", 1, "models trained at the same time; their tokens are summed")
	f.IntVar(&b.vocab, "vocab", 30522, "vocabulary size")
	f.IntVar(&b.threads, "threads", runtime.NumCPU(), "threads")
	f.StringVar(&precision, "precision", string(device.PrecisionF32), precisionUsage)
	return cmd
}

// candidate is one model in training.
type candidate struct {
	b     benchTrain
	dev   choose.Device
	net   *model.Net
	tr    *train.Trainer
	rng   *rand.Rand
	times []float64
}

func (b benchTrain) open(on choose.Choice, arch model.Arch, seed uint64) (*candidate, error) {
	c := &candidate{b: b, rng: rand.New(rand.NewPCG(seed, 0))}
	var err error
	if c.dev, err = on.Open(max(1, b.threads/b.candidates), b.precision); err != nil {
		return nil, err
	}
	c.net, err = model.NewNet(c.dev, arch, model.DefaultConfig(b.vocab), model.Objective{Kind: model.MaskedLM}, seed)
	if err == nil {
		c.tr, err = train.New(c.dev, c.net, train.Optimizer{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}, seed)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *candidate) close() {
	if c.tr != nil {
		c.tr.Close()
	}
	if c.net != nil {
		c.net.Close()
	}
	c.dev.Close()
}

// steps makes n steps, whose times it keeps. Making a batch belongs to a step, as it does in the PyTorch peer's benchmark.
func (c *candidate) steps(ctx context.Context, n int) error {
	c.times = c.times[:0]
	for range n {
		start := time.Now()
		if _, err := c.tr.Step(ctx, c.b.batchOf(c.rng)); err != nil {
			return err
		}
		c.times = append(c.times, time.Since(start).Seconds())
	}
	return nil
}

// Steps that are not timed: a device may watch and record the first ones; and steps in which kernels are timed one by one, after all others.
const (
	warmUpSteps  = 3
	profileSteps = 3
)

func (b benchTrain) run(ctx context.Context, on choose.Choice, arch model.Arch, seed uint64) (benchTrainResult, error) {
	all := make([]*candidate, b.candidates)
	for i := range all {
		c, err := b.open(on, arch, seed+uint64(i))
		if err != nil {
			return benchTrainResult{}, err
		}
		defer c.close()
		if err := c.steps(ctx, warmUpSteps); err != nil {
			return benchTrainResult{}, err
		}
		all[i] = c
	}
	wall, err := together(ctx, all, b.steps)
	if err != nil {
		return benchTrainResult{}, err
	}
	first := all[0]
	slices.Sort(first.times)
	median := first.times[len(first.times)/2]
	tokens, flop := float64(b.batch*b.seq), first.net.FLOP(b.batch, b.seq, b.picked())
	perSecond := 1 / median
	if b.candidates > 1 {
		perSecond = float64(b.candidates*b.steps) / wall
	}
	r := benchTrainResult{
		Model: b.model, Device: first.dev.Describe(), Precision: first.dev.Precision(), Batch: b.batch, Seq: b.seq, Threads: b.threads,
		Candidates: b.candidates, Params: stored(first.net), StepSeconds: median, TokensPerSecond: tokens * perSecond, FLOPPerSecond: flop * perSecond,
		PeakFraction: flop * perSecond / first.dev.PeakFlops(), OpSeconds: map[string]float64{},
	}
	first.net.Timings(true)
	if err := first.steps(ctx, profileSteps); err != nil {
		return benchTrainResult{}, err
	}
	for name, d := range first.net.Timings(false) {
		r.OpSeconds[name] = d.Seconds() / profileSteps
	}
	return r, nil
}

// together lets all candidates make steps at the same time, and returns the seconds until the last has.
func together(ctx context.Context, all []*candidate, steps int) (float64, error) {
	problems := make([]error, len(all))
	start := time.Now()
	var wg sync.WaitGroup
	for i, c := range all {
		wg.Go(func() { problems[i] = c.steps(ctx, steps) })
	}
	wg.Wait()
	return time.Since(start).Seconds(), errors.Join(problems...)
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
