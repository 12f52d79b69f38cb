package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"flexi/core/text"
)

func (a *app) dataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Look at the data folder",
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the tasks, corpora and tokenizers of the data folder",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.dataReport(false) },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Read every file of the data folder and name every malformed row",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return a.dataReport(true) },
	}
	cmd.AddCommand(list, check)
	return cmd
}

// dataReport prints a line per file, and with check every malformed row; malformed rows are an error.
func (a *app) dataReport(check bool) error {
	if a.data == "" {
		return usagef("name the data folder with --data; the built-in demo language needs none")
	}
	report, err := text.Check(a.data)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(a.out)
	bad := 0
	for _, f := range report.Files {
		bad += len(f.Bad)
		if a.json {
			err = enc.Encode(f)
		} else {
			_, err = fmt.Fprintf(a.out, "%-9s %8d rows  %s\n", f.Kind, f.Rows, f.Path)
		}
		if err != nil {
			return err
		}
		if !check || a.json {
			continue
		}
		for _, row := range f.Bad {
			if _, err := fmt.Fprintf(a.out, "  %s\n", row); err != nil {
				return err
			}
		}
	}
	if check && bad > 0 {
		return fmt.Errorf("%d malformed rows; repair them, or train with --skip-bad-rows", bad)
	}
	return nil
}
