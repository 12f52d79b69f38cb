package kern

import "unsafe"

// The portable tile: eight sums, which the Go compiler keeps in registers on every 64-bit architecture.
const (
	genericRows    = 4
	genericColumns = 2
)

// genericTiles needs packed operands: an edge tile computes whole tiles from the padding and stores the valid part.
func genericTiles() *tileSet {
	s := &tileSet{
		rows: genericRows, columns: genericColumns, vector: genericColumns, perWord: 1,
		alwaysPack: true,
		full:       func(t *tile) { genericTile(t, genericRows, genericColumns) },
		peak:       genericPeak,
		dealA:      genericDeal(genericRows),
		dealB:      genericDeal(genericColumns),
		transpose:  genericTranspose,
	}
	for r := 1; r <= genericRows; r++ {
		s.edge = append(s.edge, []tileKernel{func(t *tile) { genericTile(t, r, t.lanes) }})
	}
	return s
}

func genericTile(t *tile, rows, columns int) {
	rowC := t.rowC / 4
	for i := range t.tiles {
		a := unsafe.Slice(addBytes(t.a, i*(t.nextA+t.k*t.colA)), t.k*genericRows)
		b := unsafe.Slice(t.b, t.k*genericColumns)
		c := unsafe.Slice(addBytes(t.c, i*genericRows*t.rowC), (rows-1)*rowC+columns)
		sums := genericSums(a, b)
		for r := range rows {
			row := c[r*rowC:][:columns]
			for j := range row {
				if t.add != 0 {
					row[j] += sums[r*genericColumns+j]
				} else {
					row[j] = sums[r*genericColumns+j]
				}
			}
		}
	}
	t.tiles = 0
}

func genericSums(a, b []float32) [genericRows * genericColumns]float32 {
	var s00, s01, s10, s11, s20, s21, s30, s31 float32
	for len(a) >= genericRows && len(b) >= genericColumns {
		b0, b1 := b[0], b[1]
		s00 += a[0] * b0
		s01 += a[0] * b1
		s10 += a[1] * b0
		s11 += a[1] * b1
		s20 += a[2] * b0
		s21 += a[2] * b1
		s30 += a[3] * b0
		s31 += a[3] * b1
		a, b = a[genericRows:], b[genericColumns:]
	}
	return [...]float32{s00, s01, s10, s11, s20, s21, s30, s31}
}

// genericPeak sums in runs that stay in the first-level cache: portable code cannot promise to stay in registers.
func genericPeak(rounds int) {
	const run = 256
	var a [run * genericRows]float32
	var b [run * genericColumns]float32
	for ; rounds > 0; rounds -= run {
		n := min(run, rounds)
		b[0] += genericSums(a[:n*genericRows], b[:n*genericColumns])[0]
	}
}

func genericTranspose(dst []float32, width int, src []float32, stride, columns, steps int) {
	for j := range columns {
		row := src[j*stride:][:steps]
		for k, v := range row {
			dst[k*width+j] = v
		}
	}
}

func genericDeal(n int) dealer {
	return func(dst []float32, depth int, src []float32, stride, width, steps int) {
		for k := range steps {
			for at := 0; at < width; at += n {
				copy(dst[(at/n*depth+k)*n:][:n], src[k*stride+at:][:min(n, width-at)])
			}
		}
	}
}
