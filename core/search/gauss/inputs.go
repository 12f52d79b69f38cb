// Package gauss is the surrogate of the search: a Gaussian process over architectures given by discrete choices, by an embedding, or by both. Its
// noise depends on the predicted quality, its outputs are warped so that the many bad architectures do not drown the few good ones, and all of its
// hyperparameters are fitted to the marginal likelihood under a prior. Epistemic variance is that of the latent function, aleatoric variance that of
// the noise.
//
// The kernel of x and y adds what choices do together to what each does alone:
//
//	k = s² ((1-p) exp(-sum_c w_c d_c) + p/F sum_f exp(-C w_f d_f))
//
// A component c of C is one of F choices f, or the difference of how often the values of a repeated choice occur, or the squared distance of
// embeddings. d_f is 0 for equal values; for different ones u and v it is (a_u + a_v)/2, or half of that and half their difference in rank: a_v says
// how far value v is from the others, wherever it is chosen. Every d is of negative type, so k is positive definite. Without choices p is 0.
package gauss

import "math"

// Feature is one discrete choice of an architecture, such as the number of heads of its second layer.
type Feature struct {
	Name string
	// Values is how many there are to choose from; codes are 0 to Values-1, ascending if the feature is ordinal, and Values where an architecture
	// lacks the choice.
	Values  int
	Ordinal bool
	// Group numbers the lists of values: features of one group are the same choice at several places.
	Group int
}

// Inputs are a set of points as the kernel sees them. They are read-only once made, and may be shared.
type Inputs struct {
	// Components is the number of weights of the kernel, Values that of the values that choices have together (a_v).
	Components, Values int
	n                  int
	columns            []column
	features           int       // of the columns, the first ones; counts follow
	width              int       // number of all columns' values together
	cells              int       // and of all pairs of values of one column
	codes              [][]int32 // per point and column: where in such tables its value stands
	points             [][]float64
	dense              []int // component of every dimension of points
	scale              float64
}

// column is a number that every point has, one of finitely many.
type column struct {
	component int
	offset    int         // of its values among all columns'
	cells     int         // and of its pairs of values
	values    int         // of a choice: where its values' distances a_v begin
	distance  [][]float64 // between two of its values, where all a_v are 1
	own       [][]float64 // of a choice: the part of it that a_v scales
	members   []int       // of a count: the features counted in
	value     int         // and the value that is counted
}

// NewInputs takes codes (one row per point, one number per feature), embeddings, or both. With features the embedding is one component of the kernel,
// without it every dimension is one.
func NewInputs(features []Feature, codes [][]int, points [][]float64) *Inputs {
	in := &Inputs{n: max(len(codes), len(points)), points: points, scale: 1}
	groups := map[int]int{}
	for _, f := range features {
		values, known := groups[f.Group]
		if !known {
			values = in.Values
			groups[f.Group] = values
			in.Values += f.Values + 1
		}
		distance, own := f.distances()
		in.add(column{component: in.Components, distance: distance, own: own, values: values})
		in.Components++
	}
	in.features = len(features)
	in.addCounts(features)
	in.place(codes)
	if len(points) > 0 {
		in.addDense(len(features) > 0)
	}
	return in
}

func (in *Inputs) add(c column) {
	c.offset, c.cells = in.width, in.cells
	in.width += len(c.distance)
	in.cells += len(c.distance) * len(c.distance)
	in.columns = append(in.columns, c)
}

// distances are 1 for different values of a categorical feature, and between presence and absence. Ordinal values are half as far as their ranks, and half
// a mismatch: neighbours are alike, but not equal. Ranks are not scaled by a_v: the product would not be of negative type.
func (f Feature) distances() (d, own [][]float64) {
	d, own = square(f.Values+1), square(f.Values+1)
	for i := range d {
		for j := range d {
			if i == j {
				continue
			}
			d[i][j], own[i][j] = 1, 1
			if f.Ordinal {
				own[i][j] = 0.5
				if i < f.Values && j < f.Values {
					d[i][j] = 0.5 + 0.5*math.Abs(float64(i-j))/float64(f.Values-1)
				}
			}
		}
	}
	return d, own
}

func square(n int) [][]float64 {
	d := make([][]float64, n)
	for i := range d {
		d[i] = make([]float64, n)
	}
	return d
}

// addCounts adds a component per group of several features: how often each value occurs among them, wherever.
func (in *Inputs) addCounts(features []Feature) {
	done := map[int]bool{}
	for i, f := range features {
		var members []int
		for j, other := range features {
			if other.Group == f.Group {
				members = append(members, j)
			}
		}
		if done[f.Group] || len(members) < 2 {
			continue
		}
		done[f.Group] = true
		m := len(members)
		d := square(m + 1)
		for a := range d {
			for b := range d {
				d[a][b] = math.Abs(float64(a-b)) / float64(2*m)
			}
		}
		for v := range features[i].Values {
			in.add(column{component: in.Components, distance: d, members: members, value: v})
		}
		in.Components++
	}
}

// place turns codes into positions in tables.
func (in *Inputs) place(codes [][]int) {
	in.codes = make([][]int32, len(codes))
	for p, row := range codes {
		at := make([]int32, len(in.columns))
		for c, col := range in.columns {
			v := 0
			if c < in.features {
				v = row[c]
			}
			for _, f := range col.members {
				if row[f] == col.value {
					v++
				}
			}
			at[c] = int32(col.offset + v)
		}
		in.codes[p] = at
	}
}

func (in *Inputs) addDense(together bool) {
	d := len(in.points[0])
	in.dense = make([]int, d)
	for k := range in.dense {
		in.dense[k] = in.Components
		if !together {
			in.Components++
		}
	}
	mean, total := make([]float64, d), 0.0
	for _, x := range in.points {
		for k, v := range x {
			mean[k] += v / float64(len(in.points))
		}
	}
	for _, x := range in.points {
		for k, v := range x {
			total += (v - mean[k]) * (v - mean[k]) / float64(len(in.points))
		}
	}
	if together {
		in.Components++
	} else {
		total /= float64(d)
	}
	if total > 0 {
		in.scale = 1 / (2 * total) // the mean squared distance of two points becomes 1
	}
}

// Len is the number of points.
func (in *Inputs) Len() int { return in.n }
