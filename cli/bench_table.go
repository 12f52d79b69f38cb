package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"flexi/core/search/table"
)

func (a *app) benchTableCommand() *cobra.Command {
	var policies []string
	var queries, seeds int
	var target float64
	cmd := &cobra.Command{
		Use:   "table FILE.csv.gz",
		Short: "Replay search policies on a table of trained architectures",
		Long:  "FILE.json beside the table describes its columns. A query is one distinct architecture. Policies: " + strings.Join(table.Policies(), ", ") + ".",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if queries < 1 || seeds < 1 {
				return usagef("--queries and --seeds must be at least 1")
			}
			t, err := table.Read(args[0])
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("target") {
				target = math.NaN()
			}
			var results []table.Result
			for _, p := range policies {
				r, err := table.Replay(cmd.Context(), t, p, queries, seeds, target)
				if err != nil {
					return err
				}
				results = append(results, r)
				if a.json {
					if err := json.NewEncoder(a.out).Encode(r); err != nil {
						return err
					}
				}
			}
			if a.json {
				return nil
			}
			return a.printTable(t, results)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&policies, "policies", table.Policies(), "policies to replay")
	f.IntVar(&queries, "queries", 200, "distinct architectures per seed")
	f.IntVar(&seeds, "seeds", 20, "seeds")
	f.Float64Var(&target, "target", 0, "also count the queries to this value")
	return cmd
}

func (a *app) printTable(t *table.Table, results []table.Result) error {
	fmt.Fprintf(a.out, "%s: %d architectures, best %s %g; median (quartiles) of the best so far\n\n", t.Name, len(t.Scores), t.Objective, t.Value(t.Best()))
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "policy")
	for _, n := range table.Checkpoints {
		fmt.Fprintf(w, "\tafter %d", n)
	}
	fmt.Fprint(w, "\toptimum hit\tqueries to it\tqueries to target\tseconds\n")
	for _, r := range results {
		fmt.Fprint(w, r.Policy)
		for _, n := range table.Checkpoints {
			if q, ok := r.Best[n]; ok {
				fmt.Fprintf(w, "\t%.2f (%.2f–%.2f)", q[1], q[0], q[2])
			} else {
				fmt.Fprint(w, "\t–")
			}
		}
		fmt.Fprintf(w, "\t%d/%d\t%s\t%s\t%.2f\n", r.Hits, r.Seeds, orDash(r.QueriesToOptimum), orDash(r.QueriesToTarget), r.Seconds)
	}
	return w.Flush()
}

func orDash(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%g", *v)
}
