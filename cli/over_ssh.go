package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"flexi/tui/remote"
)

// errElsewhere marks what can be had on the machine of the workspace only, because it would read or write files there.
var errElsewhere = fmt.Errorf("%w: over ssh no files of the server are read or written", errRefused)

// commands carries out command lines that come over SSH: the same commands as here, without those that need files or a process of their own.
func (w *workspace) commands(a *app) func(context.Context, remote.Request) int {
	return func(ctx context.Context, r remote.Request) int {
		lent := &workspace{Viewer: r.Viewer, lent: true}
		if r.Operator {
			lent.store = w.store
		}
		b := &app{workspace: a.workspace, device: "auto", in: r.In, out: r.Out, err: r.Err, lent: lent}
		root := b.rootOverSSH()
		root.SetArgs(r.Args)
		root.SetIn(r.In)
		root.SetOut(r.Out)
		root.SetErr(r.Err)
		err := root.ExecuteContext(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintf(r.Err, "flexi: %v\n", err)
		}
		return exitCode(ctx, err)
	}
}

func (a *app) rootOverSSH() *cobra.Command {
	root := &cobra.Command{
		Use:               "flexi",
		Short:             "Look at a workspace's runs and steer them",
		Long:              "With a terminal and without a command this is the workbench; `plain` is its text form, for screen readers and pipes.\nNo shell reads the command line.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, one object per line")
	root.AddCommand(
		a.runsCommand(), a.statusCommand(), a.showCommand(), a.watchCommand(), a.exportCommand(), a.backupCommand(),
		a.verbCommand(pauseVerb), a.verbCommand(stopVerb), a.resumeCommand(), a.branchCommand(), a.retryCommand(), a.freezeCommand(),
	)
	return root
}
