package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"flexi/core/model"
	"flexi/core/run"
	"flexi/core/search"
	"flexi/tui"
)

func (a *app) inspectCommand() *cobra.Command {
	var space string
	var vocab, neighbours int
	cmd := &cobra.Command{
		Use:   "inspect ARCH",
		Short: "Describe an architecture: layers, parameters per part, graph, hash, neighbours",
		Long: "ARCH is a name (" + strings.Join(model.ReferenceNames(), ", ") + "), a JSON dictionary, a file that holds one, or RUN/TRIAL.\n" +
			"Neighbours are the nearest architectures of the design space by graph distance.",
		Example: "flexi inspect flexibert-mini\nflexi inspect search-01/3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			arch, err := a.architecture(cmd, args[0])
			if err != nil {
				return err
			}
			in, err := search.Describe(arch, space, vocab, neighbours)
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(in)
			}
			_, err = fmt.Fprint(a.out, tui.InspectionText(in, nil, nil))
			return err
		},
	}
	cmd.Flags().StringVar(&space, "space", "paper", "design space of the neighbours")
	cmd.Flags().IntVar(&vocab, "vocab", 30522, "vocabulary size that parameters are counted with")
	cmd.Flags().IntVar(&neighbours, "neighbours", 8, "how many neighbours to list")
	return cmd
}

// architecture resolves a trial of a run, and leaves everything else to search.ParseArch.
func (a *app) architecture(cmd *cobra.Command, name string) (model.Arch, error) {
	id, trial, isTrial := strings.Cut(name, "/")
	if _, err := os.Stat(name); !isTrial || strings.HasPrefix(name, "{") || err == nil {
		return search.ParseArch(name)
	}
	var arch model.Arch
	err := a.look(cmd, func(w *workspace) error {
		r, err := w.find(cmd.Context(), id)
		if err != nil {
			return err
		}
		var t *run.Trial
		if t, err = trialOf(r, trial); err != nil {
			return err
		}
		return json.Unmarshal(t.Arch, &arch)
	})
	return arch, err
}
