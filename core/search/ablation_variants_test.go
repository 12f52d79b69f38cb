//go:build slow

package search

// Variants of the default policy, each with one part replaced, for TestAblation.
func init() {
	variants := map[string]func(*gpSettings){
		"embedding":        func(s *gpSettings) { s.codes, s.embedding = false, true },
		"both":             func(s *gpSettings) { s.embedding = true },
		"even noise":       func(s *gpSettings) { s.fixed.Slope = true },
		"equal values":     func(s *gpSettings) { s.fixed.Values = true },
		"joint only":       func(s *gpSettings) { s.fixed.Additive = true },
		"sampling":         func(s *gpSettings) { s.uncertainty, s.diversity = 0.1, 0.1 },
		"no stall":         func(s *gpSettings) { s.stall = 0 },
		"scan":             func(s *gpSettings) { s.query = queryScan },
		"gobi and moves":   func(s *gpSettings) { s.query = queryMoves },
		"gobi":             func(s *gpSettings) { s.query = queryGOBI },
		"gobi by gradient": func(s *gpSettings) { s.query, s.gobi.firstOrder = queryGOBI, true },
	}
	for name, change := range variants {
		policies["boshnas: "+name] = func(l *Library, o PolicyOptions) Policy {
			s := standardGP()
			change(&s)
			setDefault(&o.Initial, gpInitial)
			return newBoshnasGP(l, o, s)
		}
	}
}
