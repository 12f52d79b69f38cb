package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"

	"flexi/core/search/table"
	"flexi/tui/chart"
)

// printTable prints medians, differences, and a chart.
func (a *app) printTable(t *table.Table, results []table.Result, b replayFlags) error {
	format := decimals(t)
	rows := fmt.Sprintf("%d architectures", len(t.Scores))
	if t.Duplicates > 0 {
		rows += fmt.Sprintf(" (%d rows repeat one)", t.Duplicates)
	}
	best := format(t.Value(t.Best()))
	fmt.Fprintf(a.out, "%s: %s, best %s %s; %d seeds from %d\n", t.Name, rows, t.Objective, best, b.options.Seeds, b.options.FirstSeed)
	fmt.Fprint(a.out, "Median (quartiles) of the best so far\n\n")
	if err := a.printMedians(results, b, format); err != nil {
		return err
	}
	if len(results) > 1 && results[1].Against != nil {
		noise := "its noise is unknown"
		if t.NoiseSD > 0 {
			noise = "noise " + strconv.FormatFloat(t.NoiseSD, 'g', -1, 64)
		}
		fmt.Fprintf(a.out, "\nDifference to %s (95%% interval); %s\n\n", results[0].Policy, noise)
		if err := a.printDifferences(results[1:], b, format); err != nil {
			return err
		}
	}
	if len(results[0].Curves[0]) > 1 {
		fmt.Fprintf(a.out, "\n%s\n", terminalChart(t, results).Render(100, 18))
	}
	return nil
}

// decimals writes values of the objective: two places, four where all are small.
func decimals(t *table.Table) func(v float64) string {
	places := 2
	if math.Abs(t.Best()) < 10 {
		places = 4
	}
	return func(v float64) string { return strconv.FormatFloat(v, 'f', places, 64) }
}

func (a *app) printMedians(results []table.Result, b replayFlags, format func(float64) string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "policy")
	for _, n := range table.Checkpoints {
		fmt.Fprintf(w, "\tafter %d", n)
	}
	fmt.Fprint(w, "\toptimum hit\tqueries to it")
	if b.hasTarget {
		fmt.Fprintf(w, "\tqueries to %g", b.options.Target)
	}
	fmt.Fprint(w, "\tseconds\ta proposal\n")
	for _, r := range results {
		fmt.Fprint(w, r.Policy)
		for _, n := range table.Checkpoints {
			if q, ok := r.Best[n]; ok {
				fmt.Fprintf(w, "\t%s (%s–%s)", format(q[1]), format(q[0]), format(q[2]))
			} else {
				fmt.Fprint(w, "\t–")
			}
		}
		fmt.Fprintf(w, "\t%d/%d\t%s", r.Hits, r.Seeds, orDash(r.QueriesToOptimum))
		if b.hasTarget {
			fmt.Fprintf(w, "\t%s", orDash(r.QueriesToTarget))
		}
		fmt.Fprintf(w, "\t%.2f\t%.4f\n", r.Seconds, r.SecondsPerProposal)
	}
	return w.Flush()
}

func (a *app) printDifferences(results []table.Result, b replayFlags, format func(float64) string) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "policy")
	for _, n := range table.Compared {
		fmt.Fprintf(w, "\tafter %d", n)
	}
	fmt.Fprint(w, "\tqueries to the optimum")
	if b.hasTarget {
		fmt.Fprintf(w, "\tto %g", b.options.Target)
	}
	fmt.Fprint(w, "\tverdict\n")
	whole := func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }
	for _, r := range results {
		fmt.Fprint(w, r.Policy)
		for _, n := range table.Compared {
			d, ok := r.Against.Best[n]
			if !ok {
				fmt.Fprint(w, "\t–")
				continue
			}
			fmt.Fprintf(w, "\t%s", interval(d, format))
		}
		fmt.Fprintf(w, "\t%s", interval(*r.Against.QueriesToOptimum, whole))
		if b.hasTarget {
			fmt.Fprintf(w, "\t%s", interval(*r.Against.QueriesToTarget, whole))
		}
		fmt.Fprintf(w, "\t%s\n", r.Against.Verdict)
	}
	return w.Flush()
}

func interval(d table.Difference, format func(float64) string) string {
	signed := func(v float64) string {
		if v > 0 {
			return "+" + format(v)
		}
		return format(v)
	}
	return fmt.Sprintf("%s (%s to %s)", signed(d.Mean), signed(d.Low), signed(d.High))
}

func orDash(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%g", *v)
}

// curve is a policy's best so far over the queries from the first to the last.
type curve struct {
	queries, low, median, high []float64
}

// curveFrom leaves out what all policies draw at random, as far as there is more.
func curveFrom(t *table.Table, r table.Result) (c curve) {
	last := len(r.Curves[0])
	for n := min(10, max(1, last-1)); n <= last; n++ {
		q := r.Quartiles(t, n)
		c.queries = append(c.queries, float64(n))
		c.low, c.median, c.high = append(c.low, q[0]), append(c.median, q[1]), append(c.high, q[2])
	}
	return c
}

// terminalChart shows the first policy with its quartiles and the two best of the others; more lines could not be told apart without colours.
func terminalChart(t *table.Table, results []table.Result) chart.Chart {
	c := chart.Chart{X: chart.Axis{Title: "queries"}, Y: chart.Axis{Title: t.Objective}, Legend: true}
	first := curveFrom(t, results[0])
	c.Bands = []chart.Band{{Name: "its quartiles", X: first.queries, Low: first.low, High: first.high}}
	others := slices.Clone(results[1:])
	slices.SortStableFunc(others, func(a, b table.Result) int { return cmp.Compare(area(b), area(a)) })
	for n, r := range append(results[:1:1], others[:min(2, len(others))]...) {
		k := curveFrom(t, r)
		c.Series = append(c.Series, chart.Series{
			Name: r.Policy, Kind: chart.Steps, X: k.queries, Y: k.median, Dash: chart.Dash(n), Role: chart.Line0 + chart.Role(n),
		})
	}
	return c
}

// area is the sum of a policy's curves: larger is better.
func area(r table.Result) (sum float64) {
	for _, c := range r.Curves {
		for _, v := range c {
			sum += v
		}
	}
	return sum
}
