package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"flexi/core/search/table"
)

// benchTableLong has one line per paragraph, because help wraps lines itself.
var benchTableLong = strings.Join([]string{
	"Answers every proposal of a search policy from a table, so that policies can be compared over many searches. A query is one distinct " +
		"architecture; all policies search with the same seeds.",
	"Policies: " + strings.Join(table.Policies(), ", ") + ". Those that are not boshnas are peers with " +
		"their authors' defaults; boshnas-net and boshnas-paper are slow and run only when they are named.",
	"FILE.csv (or FILE.csv.gz) has a row per architecture. FILE.json beside it names the objective's column, its direction (maximize or " +
		"minimize) and its noise_sd (the deviation between trainings of one architecture, if known), and for each parameter its kind " +
		"(categorical, or ordinal with values in order), its values as they are written, and whether it is optional (a cell may be empty). Other " +
		"columns are ignored. Rows of the same architecture count as one, with the mean of their objectives. A column that is missing or there " +
		"twice, a value that is not among the parameter's, and an objective that is not a finite number are errors. A table of one row is " +
		"searched in one query.",
	"Differences are to boshnas if it runs, else to the first policy: means over the seeds with 95% intervals of a paired bootstrap (10,000 " +
		"resamples of the seeds), from five seeds on. A difference counts where the interval does not contain 0 and it is no less than noise_sd. " +
		"Searches that never get to the optimum or target count as one query more than they had.",
}, "\n\n")

// replayFlags are those of bench table.
type replayFlags struct {
	policies  []string
	options   table.Options
	figure    string
	hasTarget bool
}

func (a *app) benchTableCommand() *cobra.Command {
	var b replayFlags
	cmd := &cobra.Command{
		Use:   "table FILE.csv.gz",
		Short: "Replay search policies on a table of trained architectures",
		Long:  benchTableLong,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.check(); err != nil {
				return err
			}
			if b.hasTarget = cmd.Flags().Changed("target"); !b.hasTarget {
				b.options.Target = math.NaN()
			}
			t, err := table.Read(args[0])
			if err != nil {
				return err
			}
			results, err := a.replay(cmd, t, b)
			if err != nil {
				return err
			}
			if b.figure != "" {
				if err := drawFigure(b.figure, t, results); err != nil {
					return err
				}
			}
			if a.json {
				return nil
			}
			return a.printTable(t, results, b)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&b.policies, "policies", table.DefaultPolicies(), "policies to replay")
	f.IntVar(&b.options.Queries, "queries", 200, "distinct architectures per search")
	f.IntVar(&b.options.Seeds, "seeds", 20, "searches per policy")
	f.Uint64Var(&b.options.FirstSeed, "first-seed", 1, "seed of the first search; the others follow it")
	f.Float64Var(&b.options.Target, "target", 0, "also count the queries to this value")
	f.StringVar(&b.figure, "figure", "", "draw the best so far, medians with quartiles, into this .svg or .png file")
	return cmd
}

// check refuses what cannot be replayed, before any time is spent, and puts the reference policy first.
func (b *replayFlags) check() error {
	if b.options.Queries < 1 || b.options.Seeds < 1 {
		return usagef("--queries and --seeds must be at least 1")
	}
	if len(b.policies) == 0 {
		return usagef("--policies names none; policies are %s", strings.Join(table.Policies(), ", "))
	}
	for n, p := range b.policies {
		if !slices.Contains(table.Policies(), p) {
			return usagef("there is no policy %q; policies are %s", p, strings.Join(table.Policies(), ", "))
		}
		if slices.Contains(b.policies[:n], p) {
			return usagef("--policies names %s twice", p)
		}
	}
	if b.figure != "" && !slices.Contains([]string{"svg", "png"}, figureFormat(b.figure)) {
		return usagef("--figure %s: the name must end in .svg or .png", b.figure)
	}
	if at := slices.Index(b.policies, table.Reference); at > 0 {
		b.policies = slices.Insert(slices.Delete(slices.Clone(b.policies), at, at+1), 0, table.Reference)
	}
	return nil
}

// replay runs the policies, the reference first, and with --json prints each as soon as it is done.
func (a *app) replay(cmd *cobra.Command, t *table.Table, b replayFlags) ([]table.Result, error) {
	var results []table.Result
	for _, p := range b.policies {
		o, last := b.options, time.Now()
		o.Progress = func(done int) {
			if time.Since(last) > 10*time.Second {
				last = time.Now()
				fmt.Fprintf(a.err, "flexi: %s: %d of %d searches\n", p, done, o.Seeds)
			}
		}
		r, err := table.Replay(cmd.Context(), t, p, o)
		if err != nil {
			return nil, err
		}
		if len(results) > 0 {
			r.Against = table.Compare(t, r, results[0])
		}
		results = append(results, r)
		if a.json {
			if err := json.NewEncoder(a.out).Encode(r); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}
