package cuda_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/device/cuda"
	"flexi/core/model"
	"flexi/core/model/train"
)

// Models with every operation, score and transform.
var models = map[string]string{
	"attention":   `{"l":2,"o":["sa","sa"],"h":[12,16],"n":[3,2],"f":[[7],[9]],"p":["sdp","wma"]}`,
	"transform":   `{"l":2,"o":["l","l"],"h":[8,8],"n":[2,4],"f":[[7],[7]],"p":["dft","dct"]}`,
	"convolution": `{"l":2,"o":["c","c"],"h":[8,12],"n":[2,4],"f":[[7],[6,6]],"p":[3,"5"]}`,
	"mixed heads": `{"l":1,"o":[["sa_sdp_4","l_dct_4","c_3_4","sa_wma_4","l_dft_4"]],"h":[10],"f":[[7,5]]}`,
}

func batch(seed uint64) model.Batch {
	const rows, seq, vocab = 3, 9, 19
	r := rand.New(rand.NewPCG(seed, 7))
	b := model.Batch{B: rows, T: seq, Lengths: []int32{9, 5, 1}}
	for i := range rows * seq {
		b.IDs, b.Segments = append(b.IDs, r.Int32N(vocab)), append(b.Segments, r.Int32N(2))
		if i%4 == 0 {
			b.Picked, b.Labels = append(b.Picked, int32(i)), append(b.Labels, r.Int32N(vocab))
		}
	}
	return b
}

// training is a model on a device, with dropout and clipping.
type training struct {
	net *model.Net
	tr  *train.Trainer
}

func start(t *testing.T, dev device.Device, arch string) training {
	t.Helper()
	var a model.Arch
	if err := a.UnmarshalJSON([]byte(arch)); err != nil {
		t.Fatal(err)
	}
	net, err := model.NewNet(dev, a, model.Config{Vocab: 19, MaxPos: 16, Types: 2}, model.Objective{Kind: model.MaskedLM}, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	tr, err := train.New(dev, net, train.Optimizer{LR: 3e-3, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, Decay: 0.01, Clip: 1}, 5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return training{net, tr}
}

// step makes step i and returns its loss.
func (x training) step(t *testing.T, i int) float64 {
	t.Helper()
	if _, err := x.tr.Step(context.Background(), batch(uint64(i))); err != nil {
		t.Fatal(err)
	}
	loss, err := x.tr.Settle(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// Steps that are queued one behind the other give the losses one later, and the same weights to the bit.
func TestQueuedSteps(t *testing.T) {
	const steps = 6
	slow := start(t, cuda.NewOnProcessor(t, device.PrecisionBF16), models["attention"])
	quick := start(t, cuda.NewOnProcessor(t, device.PrecisionBF16), models["attention"])
	var want []float64
	for i := range steps {
		want = append(want, slow.step(t, i))
		got, err := quick.tr.Step(t.Context(), batch(uint64(i)))
		if expected := want[max(0, i-1)]; err != nil || got != expected {
			t.Errorf("step %d: loss %v, want %v of the step before; %v", i, got, expected, err)
		}
	}
	for range 2 {
		if last, err := quick.tr.Settle(t.Context()); err != nil || last != want[steps-1] {
			t.Errorf("settled at %v, want %v; %v", last, want[steps-1], err)
		}
	}
	if !reflect.DeepEqual(slow.net.Tensors(), quick.net.Tensors()) {
		t.Error("weights differ")
	}
}

// A step that is not finite is told at the next one with its own number, and neither of the two has changed anything.
func TestQueuedStepsStopBehindOneThatIsNotFinite(t *testing.T) {
	for _, end := range []string{"step", "settle"} {
		dev := cuda.NewOnProcessor(t, device.PrecisionF32)
		x := start(t, dev, models["attention"])
		for i := range 3 {
			x.step(t, i)
		}
		p := x.net.Params()[0]
		dev.UploadF32(p.Value.Slice(0, 1), []float32{float32(math.Inf(1))})
		before := x.net.Tensors()
		_, err := x.tr.Step(t.Context(), batch(3))
		if err != nil {
			t.Fatalf("%s: told too early: %v", end, err)
		}
		if end == "step" {
			_, err = x.tr.Step(t.Context(), batch(4))
		} else {
			_, err = x.tr.Settle(t.Context())
		}
		var bad *train.NonFiniteError
		if !errors.As(err, &bad) || bad.Step != 3 || bad.Where != "parameter "+p.Name || x.tr.Steps() != 3 {
			t.Errorf("%s: %v after %d steps", end, err, x.tr.Steps())
		}
		if !reflect.DeepEqual(fmt.Sprint(before), fmt.Sprint(x.net.Tensors())) {
			t.Errorf("%s: weights changed", end)
		}
	}
}

func losses(t *testing.T, dev device.Device, arch string, steps int) []float64 {
	t.Helper()
	x := start(t, dev, arch)
	var out []float64
	for i := range steps {
		out = append(out, x.step(t, i))
	}
	return out
}

// The same training on both devices: dropout has the same masks, so the losses differ by rounding alone. Steps after the second are replayed graphs.
func TestTrainingAgreesWithTheCPU(t *testing.T) {
	for name, arch := range models {
		for precision, bound := range map[device.Precision]float64{device.PrecisionF32: 2e-4, device.PrecisionBF16: 3e-2} {
			t.Run(name+" "+string(precision), func(t *testing.T) {
				host, err := cpu.New(1, device.PrecisionF32)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { host.Close() })
				want := losses(t, host, arch, 5)
				got := losses(t, cuda.NewOnProcessor(t, precision), arch, 5)
				again := losses(t, cuda.NewOnProcessor(t, precision), arch, 5)
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= bound*want[i]) {
						t.Errorf("step %d: loss %v, on the CPU %v", i, got[i], want[i])
					}
					if again[i] != got[i] {
						t.Errorf("step %d: loss %v, then %v", i, got[i], again[i])
					}
				}
			})
		}
	}
}

// learnable is a batch whose labels follow from their tokens, with 15% of positions picked and padding in half of the rows.
func learnable(seed uint64, c model.Config) model.Batch {
	const rows, seq = 16, 64
	r := rand.New(rand.NewPCG(seed, 11))
	b := model.Batch{B: rows, T: seq, Segments: make([]int32, rows*seq)}
	for i := range rows {
		b.Lengths = append(b.Lengths, int32(seq-i%2*r.IntN(seq-1)))
	}
	for i := range rows * seq {
		id := r.Int32N(int32(c.Vocab))
		b.IDs = append(b.IDs, id)
		if i%7 == 0 {
			b.Picked, b.Labels = append(b.Picked, int32(i)), append(b.Labels, (5*id+3)%int32(c.Vocab))
		}
	}
	return b
}

// after is the loss of a fixed batch after some steps of training.
func after(t *testing.T, dev device.Device, arch string, steps int, seed uint64) float64 {
	t.Helper()
	var a model.Arch
	if err := a.UnmarshalJSON([]byte(arch)); err != nil {
		t.Fatal(err)
	}
	config := model.DefaultConfig(101)
	net, err := model.NewNet(dev, a, config, model.Objective{Kind: model.MaskedLM}, seed)
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	tr, err := train.New(dev, net, train.Optimizer{LR: 1e-3, Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, Decay: 0.01, Clip: 1, Warmup: 50, Steps: steps}, seed)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for i := range steps {
		if _, err := tr.Step(context.Background(), learnable(seed<<32+uint64(i), config)); err != nil {
			t.Fatal(err)
		}
	}
	loss, err := net.Loss(context.Background(), learnable(1, config))
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// TestLossAfter500Steps is a row of the GPU issue's table: within 1% of the CPU in float32, for 3 seeds.
func TestLossAfter500Steps(t *testing.T) {
	const arch = `{"l":2,"o":["sa","c"],"h":[128,128],"n":[2,2],"f":[[256],[256]],"p":["wma",5]}`
	for seed := uint64(1); seed <= 3; seed++ {
		gpu := after(t, cuda.NewOnGPU(t, device.PrecisionBF16), arch, 500, seed)
		host, err := cpu.New(runtime.NumCPU(), device.PrecisionF32)
		if err != nil {
			t.Fatal(err)
		}
		want := after(t, host, arch, 500, seed)
		host.Close()
		t.Logf("seed %d: loss %.5f on the GPU, %.5f on the CPU, ratio %.5f", seed, gpu, want, gpu/want)
		if !(math.Abs(gpu/want-1) <= 0.01) {
			t.Errorf("seed %d: off by more than 1%%", seed)
		}
	}
}

// A training goes on on the other device from its checkpoint, as if it had always been there but for rounding.
func TestCheckpointsMoveBetweenDevices(t *testing.T) {
	newHost := func() device.Device {
		d, err := cpu.New(1, device.PrecisionF32)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	want := losses(t, newHost(), models["attention"], 6)
	for name, devices := range map[string][2]device.Device{
		"CPU to GPU": {newHost(), cuda.NewOnProcessor(t, device.PrecisionF32)},
		"GPU to CPU": {cuda.NewOnProcessor(t, device.PrecisionF32), newHost()},
	} {
		first := start(t, devices[0], models["attention"])
		for i := range 3 {
			first.step(t, i)
		}
		second := start(t, devices[1], models["attention"])
		if missing, unexpected, err := second.net.SetTensors(first.net.Tensors()); err != nil || len(missing)+len(unexpected) > 0 {
			t.Fatal(missing, unexpected, err)
		}
		optimizer, err := first.tr.Tensors()
		if err != nil {
			t.Fatal(err)
		}
		if err := second.tr.Restore(first.tr.Steps(), optimizer); err != nil {
			t.Fatal(err)
		}
		for i := 3; i < 6; i++ {
			if got := second.step(t, i); !(math.Abs(got-want[i]) <= 2e-4*want[i]) {
				t.Errorf("%s: step %d has loss %v, want %v", name, i, got, want[i])
			}
		}
	}
}

// A GPU that is lost while steps are queued ends the training with what happened, not with a loss that is not finite.
func TestLostGPUEndsQueuedSteps(t *testing.T) {
	for _, end := range []string{"step", "settle"} {
		dev := cuda.NewOnProcessor(t, device.PrecisionF32)
		x := start(t, dev, models["attention"])
		for i := range 3 {
			if _, err := x.tr.Step(t.Context(), batch(uint64(i))); err != nil {
				t.Fatal(err)
			}
		}
		cuda.Lose(dev)
		var err error
		if end == "step" {
			_, err = x.tr.Step(t.Context(), batch(3))
		} else {
			_, err = x.tr.Settle(t.Context())
		}
		if !errors.Is(err, cuda.ErrLost) || !strings.Contains(err.Error(), "resume from the last checkpoint") {
			t.Errorf("%s: %v", end, err)
		}
	}
}
