package model

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// layers repeats a layer n times.
func layers(n int, l Layer) []Layer { return slices.Repeat([]Layer{l}, n) }

func standard(o Op, param string, hidden, heads int, ff ...int) Layer {
	return Layer{Hidden: hidden, Op: o, Param: param, Heads: heads, FF: ff}
}

// reference is an architecture with a name.
type reference struct {
	name   string
	layers [][]Layer
}

var references = []reference{
	{"bert-tiny", [][]Layer{layers(2, standard(SelfAttention, ScaledDot, 128, 2, 512))}},
	{"bert-mini", [][]Layer{layers(4, standard(SelfAttention, ScaledDot, 256, 4, 1024))}},
	{"bert-base", [][]Layer{layers(12, standard(SelfAttention, ScaledDot, 768, 12, 3072))}},
	{"flexibert-mini", [][]Layer{
		layers(2, standard(SelfAttention, ScaledDot, 256, 2, 512, 512, 512)), layers(2, standard(LinearTransform, DCT, 128, 4, 1024)),
	}},
	{"flexibert-large", [][]Layer{
		layers(12, standard(SelfAttention, ScaledDot, 1024, 8, 2048, 2048, 2048)), layers(12, standard(LinearTransform, DCT, 512, 16, 4096)),
	}},
	{"conv-mini", [][]Layer{layers(4, standard(SpanConvolution, "9", 256, 4, 1024))}},
	{"fourier-mini", [][]Layer{layers(4, standard(LinearTransform, DFT, 256, 4, 1024))}},
	{"wma-mini", [][]Layer{layers(4, standard(SelfAttention, Weighted, 256, 4, 1024))}},
	{"no-second-order", [][]Layer{layers(2, standard(SelfAttention, ScaledDot, 128, 4, 1024))}},
	{"no-heteroscedastic", [][]Layer{
		layers(2, standard(LinearTransform, DCT, 256, 4, 1024, 1024, 1024)), layers(2, standard(SelfAttention, ScaledDot, 128, 4, 512, 512, 512)),
	}},
}

// ReferenceNames lists the named architectures: BERT's sizes, FlexiBERT-Mini and -Large, one model of size Mini per operation, and the two
// best models of the paper's ablations.
func ReferenceNames() []string {
	names := make([]string, len(references))
	for i, r := range references {
		names[i] = r.name
	}
	return names
}

// Reference is the architecture of a name.
func Reference(name string) (Arch, error) {
	for _, r := range references {
		if r.name == name {
			return Arch{Layers: slices.Concat(r.layers...)}, nil
		}
	}
	return Arch{}, fmt.Errorf("architecture %q: must be one of %s", name, strings.Join(ReferenceNames(), ", "))
}

// Title describes the architecture in one line: the reference name if it has one, and runs of equal layers ("2× sa-sdp 256/2 ff 512-512-512").
func (a Arch) Title() string {
	var runs []string
	for j := 0; j < len(a.Layers); {
		n := 1
		for j+n < len(a.Layers) && reflect.DeepEqual(a.Layers[j], a.Layers[j+n]) {
			n++
		}
		runs = append(runs, fmt.Sprintf("%d× %s", n, a.Layers[j].title()))
		j += n
	}
	text := strings.Join(runs, ", ")
	for _, r := range references {
		if reflect.DeepEqual(slices.Concat(r.layers...), a.Layers) {
			return r.name + ": " + text
		}
	}
	return text
}

// title is operation, hidden size/heads and feed-forward widths.
func (l Layer) title() string {
	ff := strings.Trim(strings.ReplaceAll(fmt.Sprint(l.FF), " ", "-"), "[]")
	if l.Mixed == nil {
		return fmt.Sprintf("%s-%s %d/%d ff %s", l.Op, l.Param, l.Hidden, l.Heads, ff)
	}
	var kinds []string
	for i := 0; i < len(l.Mixed); {
		n := 1
		for i+n < len(l.Mixed) && l.Mixed[i] == l.Mixed[i+n] {
			n++
		}
		kinds = append(kinds, fmt.Sprintf("%d %s", n, l.Mixed[i]))
		i += n
	}
	return fmt.Sprintf("[%s] %d ff %s", strings.Join(kinds, " + "), l.Hidden, ff)
}
