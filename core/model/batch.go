package model

import "fmt"

// Batch is B rows of T positions; it has the fields of core/text.Batch, so that one converts to the other.
type Batch struct {
	B, T     int
	IDs      []int32   // B·T, padded
	Segments []int32   // B·T
	Lengths  []int32   // B, tokens before the padding
	Picked   []int32   // masked language modelling: flat positions b·T+t, padded with -1
	Labels   []int32   // per picked position, or per row for classification; -1 is not counted
	Targets  []float32 // per row for regression
}

// check reports the first thing about b that does not fit the net. Labels and targets are looked at only if the loss is wanted.
func (n *Net) check(b Batch, labelled bool) error {
	if b.B < 1 || b.T < 1 {
		return fmt.Errorf("batch of %d rows of %d positions: at least one of each is needed", b.B, b.T)
	}
	if b.T > n.config.MaxPos {
		return fmt.Errorf("batch of %d positions: the model has %d", b.T, n.config.MaxPos)
	}
	if err := checkIntegers("token id", b.IDs, b.B*b.T, 0, n.config.Vocab-1); err != nil {
		return err
	}
	if err := checkIntegers("segment", b.Segments, b.B*b.T, 0, n.config.Types-1); err != nil {
		return err
	}
	if err := checkIntegers("length", b.Lengths, b.B, 1, b.T); err != nil {
		return err
	}
	rows := b.B
	if n.objective.picks() {
		rows = len(b.Picked)
		if rows == 0 {
			return fmt.Errorf("batch without picked positions: %s needs some", n.objective.Kind)
		}
		if err := checkIntegers("picked position", b.Picked, rows, -1, b.B*b.T-1); err != nil {
			return err
		}
	}
	switch {
	case !labelled:
		return nil
	case n.objective.Kind == Regress:
		if len(b.Targets) != rows {
			return fmt.Errorf("batch with %d targets: %d are needed", len(b.Targets), rows)
		}
		return nil
	default:
		return checkIntegers("label", b.Labels, rows, -1, n.objective.outputs(n.config.Vocab)-1)
	}
}

func checkIntegers(what string, values []int32, count, low, high int) error {
	if len(values) != count {
		return fmt.Errorf("batch with %d values of %s: %d are needed", len(values), what, count)
	}
	for i, v := range values {
		if int(v) < low || int(v) > high {
			return fmt.Errorf("batch: %s %d at %d: it must be from %d to %d", what, v, i, low, high)
		}
	}
	return nil
}
