package model

import (
	"context"
	"strings"
	"sync"
	"testing"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/model/exec"
)

// Every op of the package op runs in the models that are held against the float64 model and its finite differences, forward and backward.
func TestModelsCoverEveryOp(t *testing.T) {
	seen := exec.Profile{}
	for _, m := range smallModels {
		c := smallConfig(m.ortho)
		c.Dropout = 0.1
		n := newSmallNet(t, 1, m.arch, m.goal, c)
		n.Timings(true)
		if _, err := n.Gradients(context.Background(), randomBatch(c, m.goal, 2, 5, 1), 1, 1); err != nil {
			t.Fatal(err)
		}
		for name, d := range n.Timings(false) {
			seen[name] += d
		}
	}
	ops := []string{
		"embedding", "layer norm", "linear", "linear gelu", "linear tanh", "linear residual", "attention", "position attention", "bilinear attention",
		"mix dft", "mix dct", "depthwise", "taps", "gather", "dropout", "squared error",
	}
	for _, name := range ops {
		for _, pass := range []string{name, name + " gradient"} {
			if seen[pass] == 0 {
				t.Errorf("%s is in none of the models", pass)
			}
			delete(seen, pass)
		}
	}
	// Ops whose gradients are ops of the same name or come with the value, and what the executor adds.
	for _, name := range []string{"linear cross-entropy", "multiply", "add", "copy"} {
		if seen[name] == 0 {
			t.Errorf("%s is in none of the models", name)
		}
		delete(seen, name)
	}
	for name := range seen {
		t.Errorf("%s is not in this test's list", name)
	}
}

// Nets on devices of their own train side by side: Gorgonia's shared state is guarded.
func TestNetsSideBySide(t *testing.T) {
	goal := Objective{Kind: MaskedLM}
	losses := make([]float64, 4)
	var wg sync.WaitGroup
	for i := range losses {
		wg.Go(func() {
			dev, err := cpu.New(1, device.PrecisionF32)
			if err != nil {
				t.Error(err)
				return
			}
			defer dev.Close()
			n, err := NewNet(dev, mustArch(t, smallModels[6].arch), smallConfig(false), goal, 1)
			if err != nil {
				t.Error(err)
				return
			}
			defer n.Close()
			for seq := 2; seq < 8; seq++ {
				loss, err := n.Gradients(context.Background(), randomBatch(n.config, goal, 2, seq, 3), 1, seq)
				if err != nil {
					t.Error(err)
					return
				}
				losses[i] += loss
			}
		})
	}
	wg.Wait()
	for _, l := range losses {
		if l != losses[0] || l == 0 {
			t.Fatalf("the same training gives %v", losses)
		}
	}
}

// The inference plans hold less than the training plan keeps for its backward pass.
func TestPlansShareOneArena(t *testing.T) {
	n := newSmallNet(t, 1, strings.ReplaceAll(smallModels[0].arch, `"l":2,"o":["sa","sa"],"h":[12,12]`, `"l":2,"o":["sa","sa"],"h":[48,48]`), Objective{Kind: Classify, Labels: 2}, smallConfig(false))
	b := randomBatch(n.config, n.objective, 4, 16, 1)
	ctx := context.Background()
	if _, err := n.Predict(ctx, b); err != nil {
		t.Fatal(err)
	}
	small := n.arena.Bytes()
	if _, err := n.Gradients(ctx, b, 1, 1); err != nil {
		t.Fatal(err)
	}
	large := n.arena
	if large.Bytes() <= 2*small {
		t.Errorf("inference needs %d bytes, training %d", small, large.Bytes())
	}
	before := predict(t, n, b)
	if n.arena != large {
		t.Error("inference after training took another arena")
	}
	if _, err := n.Loss(ctx, b); err != nil {
		t.Fatal(err)
	}
	after := predict(t, n, b)
	for i := range after {
		if after[i] != before[i] {
			t.Fatalf("outputs %v and %v of the same plan", before, after)
		}
	}
}
