package search

import "math"

// Constants of the Gaussian natural-parameter network (Wang, Shi, Yeung 2016) as BOSHNAS uses it.
var (
	npnAlpha = 4 - 2*math.Sqrt2          // slope of the logistic whose square is approximated
	npnBeta  = -math.Log(math.Sqrt2 + 1) // and its shift
)

// npnMinVariance keeps variances positive: both activation approximations can fall to zero and below.
const npnMinVariance = 1e-6

// moment is a function of a pre-activation's mean o and variance v, with its partial derivatives up to the second order.
type moment struct {
	f, o, v, oo, ov, vv float64
}

// logisticOf is the logistic of a moment.
func logisticOf(t moment) moment {
	k := logistic(t.f)
	p := k * (1 - k)
	p2 := p * (1 - 2*k)
	return moment{
		f: k, o: p * t.o, v: p * t.v,
		oo: p2*t.o*t.o + p*t.oo, ov: p2*t.o*t.v + p*t.ov, vv: p2*t.v*t.v + p*t.vv,
	}
}

// minusSquare is a - m*m.
func minusSquare(a, m moment) moment {
	return moment{
		f: a.f - m.f*m.f, o: a.o - 2*m.f*m.o, v: a.v - 2*m.f*m.v,
		oo: a.oo - 2*(m.o*m.o+m.f*m.oo), ov: a.ov - 2*(m.o*m.v+m.f*m.ov), vv: a.vv - 2*(m.v*m.v+m.f*m.vv),
	}
}

// clamped is max(a, npnMinVariance), flat where it is cut.
func clamped(a moment) moment {
	if a.f < npnMinVariance {
		return moment{f: npnMinVariance}
	}
	return a
}

// npnReLU gives mean and variance of max(0, X) for X normal with mean o and variance v. The normal distribution function is approximated
// by a logistic:
//
//	kappa = 1/(1+exp(-sqrt(8/pi) o/sqrt(v)));  phi = sqrt(v/(2 pi)) exp(-o²/(2v))
//	m = kappa o + phi;  s = kappa (o² + v) + o phi - m²
func npnReLU(o, v float64) (m, s moment) {
	r := math.Sqrt(8 / math.Pi / v)
	k := logisticOf(moment{f: r * o, o: r, v: -r * o / (2 * v), ov: -r / (2 * v), vv: 3 * r * o / (4 * v * v)})
	phi := densityOf(o, v)
	m = moment{
		f: k.f*o + phi.f, o: k.o*o + k.f + phi.o, v: k.v*o + phi.v,
		oo: k.oo*o + 2*k.o + phi.oo, ov: k.ov*o + k.v + phi.ov, vv: k.vv*o + phi.vv,
	}
	e := o*o + v
	second := moment{ // the second moment, kappa (o² + v) + o phi
		f: k.f*e + o*phi.f, o: k.o*e + 2*k.f*o + phi.f + o*phi.o, v: k.v*e + k.f + o*phi.v,
		oo: k.oo*e + 4*k.o*o + 2*k.f + 2*phi.o + o*phi.oo, ov: k.ov*e + k.o + 2*o*k.v + phi.v + o*phi.ov, vv: k.vv*e + 2*k.v + o*phi.vv,
	}
	return m, clamped(minusSquare(second, m))
}

// densityOf is phi = sqrt(v/(2 pi)) exp(-o²/(2v)).
func densityOf(o, v float64) moment {
	f := math.Sqrt(v/(2*math.Pi)) * math.Exp(-o*o/(2*v))
	byO := -o / v
	byV := (v + o*o) / (2 * v * v)
	return moment{
		f: f, o: f * byO, v: f * byV,
		oo: f * (byO*byO - 1/v), ov: f * (byO*byV + o/(v*v)), vv: f * (byV*byV + 1/(2*v*v) - (v+o*o)/(v*v*v)),
	}
}

// npnSigmoid gives approximate mean and variance of the logistic of X for X normal with mean o and variance v:
//
//	m = logistic(o/sqrt(1 + pi/8 v));  s = logistic(alpha (o + beta)/sqrt(1 + pi/8 alpha² v)) - m²
func npnSigmoid(o, v float64) (m, s moment) {
	m = logisticOf(attenuated(1, o, math.Pi/8, v))
	square := logisticOf(attenuated(npnAlpha, o+npnBeta, math.Pi/8*npnAlpha*npnAlpha, v))
	return m, clamped(minusSquare(square, m))
}

// attenuated is a*o/sqrt(1 + c*v).
func attenuated(a, o, c, v float64) moment {
	h2 := 1 / (1 + c*v)
	h := math.Sqrt(h2)
	t := a * o * h
	return moment{f: t, o: a * h, v: -c / 2 * h2 * t, ov: -c / 2 * h2 * a * h, vv: 3 * c * c / 4 * h2 * h2 * t}
}
