package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// dictionary is a model dictionary as it is written; every list has one entry per layer. Without p it is of the hetero format.
type dictionary struct {
	L int   `json:"l"`
	O []any `json:"o"`
	H []int `json:"h"`
	N []int `json:"n,omitempty"`
	// F lists the feed-forward widths of each layer.
	F [][]int `json:"f"`
	P []any   `json:"p,omitempty"`
}

// MarshalJSON writes the model dictionary.
func (a Arch) MarshalJSON() ([]byte, error) {
	d := dictionary{L: len(a.Layers)}
	for _, l := range a.Layers {
		d.H = append(d.H, l.Hidden)
		d.F = append(d.F, l.FF)
		if l.Mixed != nil {
			heads := make([]string, len(l.Mixed))
			for i, h := range l.Mixed {
				heads[i] = h.String()
			}
			d.O = append(d.O, heads)
			continue
		}
		d.O = append(d.O, l.Op)
		d.N = append(d.N, l.Heads)
		if k, err := strconv.Atoi(l.Param); err == nil {
			d.P = append(d.P, k)
		} else {
			d.P = append(d.P, l.Param)
		}
	}
	return json.Marshal(d)
}

// UnmarshalJSON reads a model dictionary of either format and validates it.
func (a *Arch) UnmarshalJSON(data []byte) error {
	var d dictionary
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("architecture: %w; a dictionary has l, o, h, n, f and p, or in the hetero format l, o, h and f", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("architecture: there is text behind the dictionary")
	}
	out, err := d.arch()
	if err != nil {
		return err
	}
	if err := out.Validate(); err != nil {
		return err
	}
	*a = out
	return nil
}

func (d dictionary) arch() (Arch, error) {
	hetero := d.P == nil
	lengths := map[string]int{"o": len(d.O), "h": len(d.H), "f": len(d.F)}
	if !hetero {
		lengths["n"], lengths["p"] = len(d.N), len(d.P)
	} else if d.N != nil {
		return Arch{}, fmt.Errorf("architecture: n without p: the standard format needs both, the hetero format has neither")
	}
	for _, key := range []string{"o", "h", "n", "f", "p"} {
		if n, ok := lengths[key]; ok && n != d.L {
			return Arch{}, fmt.Errorf("architecture: list %q has %d entries; l says %d layers", key, n, d.L)
		}
	}
	a := Arch{Layers: make([]Layer, d.L)}
	for j := range a.Layers {
		l := Layer{Hidden: d.H[j], FF: d.F[j]}
		var err error
		if hetero {
			l.Mixed, err = parseHeads(d.O[j])
		} else {
			l.Heads = d.N[j]
			l.Op, l.Param, err = parseOperation(d.O[j], d.P[j])
		}
		if err != nil {
			return Arch{}, fmt.Errorf("architecture: layer %d: %w", j+1, err)
		}
		a.Layers[j] = l
	}
	return a, nil
}

func parseOperation(o, p any) (Op, string, error) {
	name, ok := o.(string)
	if !ok {
		return "", "", fmt.Errorf("operation %v: it must be a string", o)
	}
	switch v := p.(type) {
	case string:
		return Op(name), v, nil
	case float64:
		return Op(name), strconv.FormatFloat(v, 'f', -1, 64), nil
	default:
		return "", "", fmt.Errorf("parameter %v of operation %q: it must be a string or a number", p, name)
	}
}

func parseHeads(o any) ([]Head, error) {
	list, ok := o.([]any)
	if !ok {
		return nil, fmt.Errorf("operation %v: without p (the hetero format) it must be a list of heads such as [%q]", o, "sa_sdp_64")
	}
	heads := make([]Head, len(list))
	for i, v := range list {
		text, _ := v.(string)
		var err error
		if heads[i], err = ParseHead(text); err != nil {
			return nil, fmt.Errorf("head %d: %w", i+1, err)
		}
	}
	return heads, nil
}

// ParseHead reads <operation>_<parameter>_<size>.
func ParseHead(s string) (Head, error) {
	f := strings.Split(s, "_")
	if len(f) != 3 {
		return Head{}, fmt.Errorf("%q: a head is written operation_parameter_size, such as sa_sdp_64", s)
	}
	size, err := strconv.Atoi(f[2])
	if err != nil {
		return Head{}, fmt.Errorf("%q: the size %q is not a number", s, f[2])
	}
	return Head{Op: Op(f[0]), Param: f[1], Size: size}, nil
}

// String is the head as a dictionary writes it.
func (h Head) String() string { return fmt.Sprintf("%s_%s_%d", h.Op, h.Param, h.Size) }
