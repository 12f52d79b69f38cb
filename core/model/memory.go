package model

import "flexi/core/device"

// TrainingBytes is the device memory that training on batches like b takes: weights, gradients, AdamW's two moments and activations. It does not depend on
// the device.
func (n *Net) TrainingBytes(b Batch) (int, error) {
	c, err := n.prepare(b, training)
	if err != nil {
		return 0, err
	}
	return 4*n.flat.size*device.F32.Size() + n.frozenBytes() + c.plan.ArenaBytes(), nil
}

func (n *Net) frozenBytes() int {
	return n.frozen.size*device.F32.Size() + n.half.size*device.BF16.Size()
}
