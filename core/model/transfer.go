package model

import (
	"fmt"
	"slices"
	"strings"
)

// TransferMode is a rule for starting one architecture from another's weights.
type TransferMode string

// Transfer modes.
const (
	// TransferExact copies the blocks that agree in every size, from the input up to the first operation that differs.
	TransferExact TransferMode = "exact"
	// TransferOrdered also fills unequal sizes: leading rows and columns, head by head (design notes 4.3).
	TransferOrdered TransferMode = "ordered"
	// TransferProjection is TransferOrdered with Gaussian random projections along hidden and head axes of unequal size (4.3).
	TransferProjection TransferMode = "projection"
	// TransferOff trains every candidate from its own initial weights.
	TransferOff TransferMode = "off"
)

// TransferModes are all modes.
func TransferModes() []TransferMode {
	return []TransferMode{TransferExact, TransferOrdered, TransferProjection, TransferOff}
}

// Valid reports whether m is one of TransferModes.
func (m TransferMode) Valid() bool { return slices.Contains(TransferModes(), m) }

// shared says which blocks of one layer an exact transfer copies.
type shared struct {
	attention   bool
	feedForward bool // the stacked maps without the output map
	output      bool // output map and LayerNorm
	projection  bool
}

// sameOperation reports whether two layers agree in everything that shapes the attention block.
func sameOperation(a, b Layer) bool {
	return a.Op == b.Op && a.Param == b.Param && a.Heads == b.Heads && a.Hidden == b.Hidden && slices.Equal(a.Mixed, b.Mixed)
}

// nextHidden is the hidden size behind layer j, 0 behind the last.
func (a Arch) nextHidden(j int) int {
	if j+1 < len(a.Layers) {
		return a.Layers[j+1].Hidden
	}
	return 0
}

// sharedBlocks lists what an exact transfer copies: from the input while operations agree; what follows the first difference would work on inputs that
// the source never saw.
func sharedBlocks(query, source Arch) []shared {
	var out []shared
	for j := range min(len(query.Layers), len(source.Layers)) {
		q, s := query.Layers[j], source.Layers[j]
		if !sameOperation(q, s) {
			break
		}
		b := shared{attention: true}
		b.feedForward = slices.Equal(q.FF, s.FF)
		b.output = b.feedForward
		b.projection = b.output && query.nextHidden(j) == source.nextHidden(j)
		out = append(out, b)
		if !b.feedForward {
			break
		}
	}
	return out
}

// Overlap is the share of the query's layer parameters that TransferExact copies from source, from 0 to 1. Embeddings are left out: they are
// most of a small model and would make every pair of equal first hidden size look alike.
func Overlap(query, source Arch) float64 {
	var copied, total int64
	blocks := sharedBlocks(query, source)
	for j := range query.Layers {
		p := query.blockParams(j)
		total += p.attention + p.feedForward + p.output + p.projection
		if j >= len(blocks) {
			continue
		}
		for _, part := range []struct {
			shared bool
			n      int64
		}{{blocks[j].attention, p.attention}, {blocks[j].feedForward, p.feedForward}, {blocks[j].output, p.output}, {blocks[j].projection, p.projection}} {
			if part.shared {
				copied += part.n
			}
		}
	}
	return float64(copied) / float64(total)
}

// PaperOverlap is the original's overlap (design notes 4.1): the share of tensors, counted with its quirks, that its rule copies. It goes on after a
// layer of the same operation type that differs in size, and never copies the output block of the last layer.
func PaperOverlap(query, source Arch) float64 {
	const embeddingTensors = 6
	copied, total := 0, embeddingTensors
	if query.Layers[0].Hidden == source.Layers[0].Hidden {
		copied = embeddingTensors
	}
	open := true
	for j, q := range query.Layers {
		attention, feedForward, output := paperTensors(query, j)
		total += attention + feedForward + output
		if j >= len(source.Layers) || !open {
			continue
		}
		s := source.Layers[j]
		if q.Op != s.Op || !slices.Equal(q.Mixed, s.Mixed) {
			open = false
			continue
		}
		if !sameOperation(q, s) {
			continue
		}
		copied += attention
		if !slices.Equal(q.FF, s.FF) {
			continue
		}
		copied += feedForward
		if next := query.nextHidden(j); next != 0 && next == source.nextHidden(j) {
			copied += output
		}
	}
	return float64(copied) / float64(total)
}

// paperTensors counts the tensors of a layer's three blocks as the original does (the first feed-forward matrix is registered twice).
func paperTensors(a Arch, j int) (attention, feedForward, output int) {
	l := a.Layers[j]
	attention = map[Op]int{SelfAttention: 12, LinearTransform: 11, SpanConvolution: 18}[l.Op]
	output = 4
	if next := a.nextHidden(j); next != 0 && next != l.Hidden {
		output += 2
	}
	return attention, 2 + 2*len(l.FF), output
}

// Transfer fills dst, the query's own tensors, from src, the source's, in place. It returns the share of the query's encoder values
// (embeddings and layers, not heads) that were set.
func Transfer(mode TransferMode, query, source Arch, dst, src []NamedTensor, seed uint64) (float64, error) {
	from := make(map[string]NamedTensor, len(src))
	for _, t := range src {
		from[t.Name] = t
	}
	var set, total int
	for _, t := range dst {
		if !IsEncoder(t.Name) {
			continue
		}
		total += len(t.Data)
		s, ok := from[t.Name]
		if !ok {
			continue
		}
		switch mode {
		case TransferExact:
			if exactShares(query, source, t.Name) && slices.Equal(t.Shape, s.Shape) {
				set += copy(t.Data, s.Data)
			}
		case TransferOrdered, TransferProjection:
			n, err := resize(mode, query, source, t, s, seed)
			if err != nil {
				return 0, err
			}
			set += n
		case TransferOff:
		default:
			return 0, fmt.Errorf("transfer mode %q: must be one of %v", mode, TransferModes())
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("transfer: the query has no encoder tensors")
	}
	return float64(set) / float64(total), nil
}

// exactShares reports whether the block a tensor belongs to is copied by TransferExact.
func exactShares(query, source Arch, name string) bool {
	j, rest, isLayer := splitLayerName(name)
	if !isLayer {
		return query.Layers[0].Hidden == source.Layers[0].Hidden
	}
	blocks := sharedBlocks(query, source)
	if j >= len(blocks) {
		return false
	}
	switch {
	case strings.HasPrefix(rest, "attention."):
		return blocks[j].attention
	case strings.HasPrefix(rest, "intermediate."):
		return blocks[j].feedForward
	case strings.HasPrefix(rest, "output."):
		return blocks[j].output
	default:
		return blocks[j].projection
	}
}
