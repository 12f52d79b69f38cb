package search

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"flexi/core/model"
	"flexi/core/run"
)

// ParseArch reads an architecture: a reference name, a JSON dictionary, or a file that holds one.
func ParseArch(s string) (model.Arch, error) {
	var a model.Arch
	if strings.HasPrefix(strings.TrimSpace(s), "{") {
		if err := json.Unmarshal([]byte(s), &a); err != nil {
			return a, err
		}
		return a, nil
	}
	if a, err := model.Reference(s); err == nil {
		return a, nil
	}
	text, err := os.ReadFile(s)
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("architecture %q is neither a name (%s), nor JSON, nor a file", s, strings.Join(model.ReferenceNames(), ", "))
	}
	if err != nil {
		return a, fmt.Errorf("read architecture: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("architecture %s: %w", s, err)
	}
	return a, nil
}

// layerRows is an architecture as people read it.
func layerRows(a model.Arch, vocab int) []run.LayerRow {
	count := a.Count(vocab)
	rows := []run.LayerRow{{Name: "embedding", Op: fmt.Sprintf("%d words", vocab), Hidden: a.Layers[0].Hidden, Params: count.Embedding}}
	for j, l := range a.Layers {
		p := count.Layers[j]
		row := run.LayerRow{Name: fmt.Sprint(j + 1), Hidden: l.Hidden, FF: joinInts(l.FF), Params: p.Operation + p.FeedForward}
		row.Op, row.Heads = operationName(l)
		rows = append(rows, row)
		if p.Projection > 0 {
			rows = append(rows, run.LayerRow{Name: "projection", Op: fmt.Sprintf("%d→%d", l.Hidden, a.Layers[j+1].Hidden), Params: p.Projection})
		}
	}
	return append(rows, run.LayerRow{Name: "pooler", Op: "tanh", Hidden: a.Layers[len(a.Layers)-1].Hidden, Params: count.Pooler})
}

// operationName is the short name of a layer's operation, and its heads.
func operationName(l model.Layer) (string, int) {
	if l.Mixed == nil {
		return string(l.Op) + "·" + l.Param, l.Heads
	}
	kinds := map[string]int{}
	for _, h := range l.Mixed {
		kinds[string(h.Op)+"·"+h.Param]++
	}
	var parts []string
	for kind, n := range kinds {
		parts = append(parts, fmt.Sprintf("%d×%s", n, kind))
	}
	slices.Sort(parts)
	return strings.Join(parts, " "), len(l.Mixed)
}

func joinInts(x []int) string {
	parts := make([]string, len(x))
	for i, v := range x {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, "·")
}

// edit says in what an architecture differs from another, layer by layer.
func edit(from, to model.Arch) string {
	var parts []string
	if len(from.Layers) != len(to.Layers) {
		parts = append(parts, fmt.Sprintf("%d→%d layers", len(from.Layers), len(to.Layers)))
	}
	for j := range min(len(from.Layers), len(to.Layers)) {
		a, b := from.Layers[j], to.Layers[j]
		opA, _ := operationName(a)
		opB, _ := operationName(b)
		note := func(x, y any) {
			if fmt.Sprint(x) != fmt.Sprint(y) {
				parts = append(parts, fmt.Sprintf("layer %d: %v→%v", j+1, x, y))
			}
		}
		note(opA, opB)
		note(fmt.Sprintf("h%d", a.Hidden), fmt.Sprintf("h%d", b.Hidden))
		note(fmt.Sprintf("n%d", a.Heads), fmt.Sprintf("n%d", b.Heads))
		note("ff "+joinInts(a.FF), "ff "+joinInts(b.FF))
	}
	return strings.Join(parts, ", ")
}

// inspection is what can be said of an architecture by itself.
func inspection(a model.Arch, vocab int) (run.Inspection, error) {
	dictionary, err := json.Marshal(a)
	if err != nil {
		return run.Inspection{}, fmt.Errorf("describe architecture: %w", err)
	}
	count := a.Count(vocab)
	var operations, stacks, projections int64
	for _, l := range count.Layers {
		operations, stacks, projections = operations+l.Operation, stacks+l.FeedForward, projections+l.Projection
	}
	return run.Inspection{
		Hash: Hash(a), Title: a.Title(), Arch: dictionary, Layers: layerRows(a, vocab), Params: count.Encoder(), Graph: GraphLines(a),
		Parts: []run.Part{
			{Name: "embedding", Params: count.Embedding},
			{Name: "operations", Params: operations},
			{Name: "feed-forward", Params: stacks},
			{Name: "projections", Params: projections},
			{Name: "pooler", Params: count.Pooler},
			{Name: "masked-language head", Params: count.MLMHead},
		},
	}, nil
}

// Describe describes an architecture, with its nearest neighbours by graph distance among level 1 of a design space. An architecture outside the space
// has no neighbours there.
func Describe(a model.Arch, spaceName string, vocab, neighbours int) (run.Inspection, error) {
	if vocab < 1 {
		return run.Inspection{}, fmt.Errorf("vocabulary of %d words: at least 1 is needed", vocab)
	}
	in, err := inspection(a, vocab)
	if err != nil {
		return in, err
	}
	space, err := LoadSpace(spaceName)
	if err != nil {
		return in, err
	}
	if space.Contains(a) != nil || neighbours < 1 {
		return in, nil
	}
	archs, _, err := space.LevelArchs(space.Levels()[0], LibraryLimit, 1)
	if err != nil {
		return in, err
	}
	archs = slices.DeleteFunc(archs, func(b model.Arch) bool { return Hash(b) == in.Hash })
	d, err := NewDistances(space, append(archs, a), Scheme2022, DefaultEdgeWeight)
	if err != nil {
		return in, err
	}
	order := make([]int, len(archs))
	at := make([]float64, len(archs))
	for i := range order {
		order[i], at[i] = i, d.At(i, len(archs))
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(at[x], at[y]) })
	for _, i := range order[:min(neighbours, len(order))] {
		in.Neighbours = append(in.Neighbours, run.Neighbour{
			Hash: Hash(archs[i]), Title: archs[i].Title(), Distance: at[i], Overlap: model.Overlap(archs[i], a), Edit: edit(a, archs[i]), Trial: -1,
		})
	}
	return in, nil
}
