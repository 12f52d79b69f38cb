package model

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// The counts of section 2.10 of the design notes, to the unit.
func TestCountOfTheTable(t *testing.T) {
	dictionary := func(text string) Arch { return mustArch(t, text) }
	named := func(name string) Arch {
		a, err := Reference(name)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	tests := []struct {
		name                             string
		arch                             Arch
		encoder50265, mlm50265, enc30522 int64
	}{
		{"bert-tiny", named("bert-tiny"), 7052160, 13536601, 4525056},
		{"bert-mini", named("bert-mini"), 16503040, 29421657, 11448832},
		{"flexibert-mini", named("flexibert-mini"), 16174016, 22658457, 11119808},
		{"no-second-order", named("no-second-order"), 7243712, 13728153, 4716608},
		{"no-heteroscedastic", named("no-heteroscedastic"), 20472896, 26957337, 15418688},
		{"flexibert-large", named("flexibert-large"), 319477888, 345264857, 299261056},
		{"dft", dictionary(`{"l":2,"o":["l","l"],"h":[128,128],"n":[2,2],"f":[[512],[512]],"p":["dft","dft"]}`), 7043968, 13528409, 4516864},
		{"kernel 5", dictionary(`{"l":2,"o":["c","c"],"h":[128,128],"n":[2,2],"f":[[512],[512]],"p":[5,5]}`), 7029386, 13513827, 4502282},
		{"kernel 9", dictionary(`{"l":2,"o":["c","c"],"h":[128,128],"n":[2,2],"f":[[512],[512]],"p":[9,9]}`), 7030930, 13515371, 4503826},
		{"conv-mini", named("conv-mini"), 16373576, 29292193, 11319368},
		{"two sizes", dictionary(`{"l":2,"o":["sa","l"],"h":[128,256],"n":[2,4],"f":[[512],[1024]],"p":["sdp","dct"]}`), 7721856, 20640473, 5194752},
	}
	for _, c := range tests {
		large, small := c.arch.Count(50265), c.arch.Count(30522)
		if large.Encoder() != c.encoder50265 || large.MLM() != c.mlm50265 || small.Encoder() != c.enc30522 {
			t.Errorf("%s: %d, %d and %d parameters; want %d, %d and %d", c.name, large.Encoder(), large.MLM(), small.Encoder(), c.encoder50265, c.mlm50265, c.enc30522)
		}
	}
}

// What is stored is the count without what nothing uses (B5): the absolute positions, W of plain attention, the keys of linear transforms.
func TestStoredLeavesOutDeadParameters(t *testing.T) {
	for _, name := range ReferenceNames() {
		a, err := Reference(name)
		if err != nil {
			t.Fatal(err)
		}
		c := DefaultConfig(30522)
		dead := int64(c.MaxPos * a.Layers[0].Hidden)
		for _, l := range a.Layers {
			h, d := int64(l.Hidden), int64(l.headSize())
			switch {
			case l.Op == LinearTransform:
				dead += h*h + h
			case l.Op == SelfAttention && l.Param == ScaledDot:
				dead += d * d
			}
		}
		if got, want := a.Stored(c, Objective{Kind: MaskedLM}), a.Count(c.Vocab).MLM()-dead; got != want {
			t.Errorf("%s stores %d parameters, want %d", name, got, want)
		}
	}
}

func TestBlockParametersSumToTheLayers(t *testing.T) {
	for _, m := range smallModels {
		a := mustArch(t, m.arch)
		c := DefaultConfig(19)
		var layers int64
		for _, p := range parameters(a, c, m.goal) {
			if strings.HasPrefix(p.name, layerPrefix) {
				layers += int64(p.elements())
			}
		}
		var blocks int64
		for j := range a.Layers {
			b := a.blockParams(j)
			blocks += b.attention + b.feedForward + b.output + b.projection
		}
		if blocks != layers {
			t.Errorf("%s: blocks have %d parameters, the layers %d", m.name, blocks, layers)
		}
	}
}

func TestDictionaryRoundTrip(t *testing.T) {
	texts := []string{
		`{"l":4,"o":["sa","sa","l","l"],"h":[256,256,128,128],"n":[2,2,4,4],"f":[[512,512,512],[512,512,512],[1024],[1024]],"p":["sdp","sdp","dct","dct"]}`,
		`{"l":2,"o":["c","sa"],"h":[128,128],"n":[2,2],"f":[[512],[512]],"p":[9,"wma"]}`,
		`{"l":1,"o":[["sa_sdp_64","l_dct_64","c_9_64"]],"h":[128],"f":[[512]]}`,
	}
	for _, text := range texts {
		a := mustArch(t, text)
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != text {
			t.Errorf("wrote %s\nfor   %s", out, text)
		}
		if again := mustArch(t, string(out)); !reflect.DeepEqual(a, again) {
			t.Errorf("read %+v, wrote %+v", again, a)
		}
	}
	if a, b := mustArch(t, texts[1]), mustArch(t, strings.Replace(texts[1], "9,", `"9",`, 1)); !reflect.DeepEqual(a, b) {
		t.Errorf("kernel sizes as string and number differ: %+v %+v", a, b)
	}
}

func TestDictionaryErrors(t *testing.T) {
	good := `{"l":1,"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]}`
	mustArch(t, good)
	tests := []struct{ old, new, want string }{
		{`"l":1`, `"l":2`, `list "o" has 1 entries; l says 2 layers`},
		{`"h":[8]`, `"h":[9]`, `layer 1: 2 heads: the hidden size 9 must be a multiple`},
		{`"h":[8]`, `"h":[0]`, `layer 1: hidden size 0`},
		{`"n":[2]`, `"n":[0]`, `layer 1: 0 heads`},
		{`"o":["sa"]`, `"o":["x"]`, `layer 1: operation "x": must be one of ["sa" "l" "c"]`},
		{`"o":["sa"]`, `"o":[3]`, `operation 3: it must be a string`},
		{`"p":["sdp"]`, `"p":["dft"]`, `parameter "dft" of operation "sa": must be one of ["sdp" "wma"]`},
		{`"p":["sdp"]`, `"p":[true]`, `must be a string or a number`},
		{`"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]`, `"o":["c"],"h":[8],"n":[2],"f":[[4]],"p":[4]`, `kernel size "4" of operation "c": it must be an odd number`},
		{`"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]`, `"o":["c"],"h":[8],"n":[1],"f":[[4]],"p":[5]`, `must be even`},
		{`"f":[[4]]`, `"f":[[]]`, `no feed-forward width`},
		{`"f":[[4]]`, `"f":[[4,-1]]`, `feed-forward width -1 of layer 2 in the stack`},
		{`,"p":["sdp"]`, ``, `n without p`},
		{`,"n":[2],"f":[[4]],"p":["sdp"]`, `,"f":[[4]]`, `must be a list of heads`},
		{`"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]`, `"o":[["sa_sdp_4","sa_sdp_8"]],"h":[8],"f":[[4]]`, `head 2: size 8: all heads of a layer must have the same size`},
		{`"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]`, `"o":[["sa_sdp"]],"h":[8],"f":[[4]]`, `head 1: "sa_sdp": a head is written`},
		{`"o":["sa"],"h":[8],"n":[2],"f":[[4]],"p":["sdp"]`, `"o":[[]],"h":[8],"f":[[4]]`, `it has no heads`},
		{`"l":1`, `"x":1`, `unknown field "x"`},
		{good, `{"l":0,"o":[],"h":[],"n":[],"f":[],"p":[]}`, `it has no layers`},
		{good, good + "7", `text behind the dictionary`},
	}
	for _, c := range tests {
		text := strings.Replace(good, c.old, c.new, 1)
		var a Arch
		err := a.UnmarshalJSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", text, err, c.want)
		}
	}
	mixed := Arch{Layers: []Layer{mustArch(t, good).Layers[0], {Hidden: 8, FF: []int{4}, Mixed: []Head{{SelfAttention, ScaledDot, 4}}}}}
	if err := mixed.Validate(); err == nil || !strings.Contains(err.Error(), "cannot be in one model") {
		t.Errorf("standard and hetero layers together: error %v", err)
	}
}

func TestTitle(t *testing.T) {
	a, err := Reference("flexibert-mini")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Title(), "flexibert-mini: 2× sa-sdp 256/2 ff 512-512-512, 2× l-dct 128/4 ff 1024"; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
	h := mustArch(t, `{"l":1,"o":[["sa_sdp_4","sa_sdp_4","c_3_4"]],"h":[6],"f":[[5,7]]}`)
	if got, want := h.Title(), "1× [2 sa_sdp_4 + 1 c_3_4] 6 ff 5-7"; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
	if _, err := Reference("bert-huge"); err == nil || !strings.Contains(err.Error(), "bert-tiny") {
		t.Errorf("unknown reference: error %v, want the names", err)
	}
}
