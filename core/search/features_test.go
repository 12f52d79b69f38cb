package search

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCodesTellArchitecturesApart: equal codes mean equal architectures, codes are in range, and absent layers are marked as such.
func TestCodesTellArchitecturesApart(t *testing.T) {
	space, err := LoadSpace("paper")
	if err != nil {
		t.Fatal(err)
	}
	features := space.Features()
	levels := space.Levels()
	archs, err := space.Sample(levels[len(levels)-1], 2000, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	shallow, err := space.Enumerate(Level{Stack: 2, Homogeneous: true}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, a := range append(archs, shallow...) {
		codes, err := space.Codes(a)
		if err != nil {
			t.Fatal(err)
		}
		if len(codes) != len(features) {
			t.Fatalf("%d codes for %d features", len(codes), len(features))
		}
		key := ""
		for i, c := range codes {
			if c < 0 || c > features[i].Values {
				t.Fatalf("%s of %s has code %d of %d", features[i].Name, a.Title(), c, features[i].Values)
			}
			key += string(rune('a' + c))
		}
		text, _ := a.MarshalJSON()
		if other, ok := seen[key]; ok && other != string(text) {
			t.Fatalf("%s and %s have equal codes", other, text)
		}
		seen[key] = string(text)
		last := slices.IndexFunc(features, func(f Feature) bool { return f.Name == "layer 4 operation" })
		if absent := codes[last] == features[last].Values; absent != (len(a.Layers) < 4) {
			t.Fatalf("%s: layer 4 absent is %v", a.Title(), absent)
		}
	}
	outside := archs[0]
	outside.Layers = outside.Layers[:1]
	if _, err := space.Codes(outside); err == nil {
		t.Error("an architecture outside the space has codes")
	}
}
