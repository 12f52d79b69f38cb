// Package cli is the command line: one file per command, each turning flags into configuration and handing it to the core or the workbench.
//
// Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 error, 2 usage, 3 refused, 130 interrupted.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"

	"flexi/core/device/choose"
)

// Exit codes of the command contract.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitRefused     = 3
	exitInterrupted = 130
)

// errRefused marks a command that the run's state does not allow.
var errRefused = errors.New("refused")

// usageError marks a wrong command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// app is what all commands share: the global flags and the streams.
type app struct {
	workspace string
	data      string
	device    string
	seed      uint64
	json      bool
	lent      *workspace // what commands that come over SSH work on

	in       io.Reader
	out, err io.Writer
}

// Main runs one command line and returns the exit code.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw}
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := fang.Execute(ctx, root, fang.WithVersion(version()), fang.WithErrorHandler(printError))
	return exitCode(ctx, err)
}

// endings are the signals that end a command in order. A closed terminal is one, unless nohup says otherwise.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

func printError(w io.Writer, _ fang.Styles, err error) {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "flexi: interrupted")
		return
	}
	fmt.Fprintf(w, "flexi: %v\n", err)
}

func exitCode(ctx context.Context, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errRefused):
		return exitRefused
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage), isCobraUsage(err):
		return exitUsage
	default:
		return exitError
	}
}

// isCobraUsage recognises cobra's own complaints about the command line, which have no type.
func isCobraUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ", "requires ", "required flag", "flag needs an argument", "invalid argument"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

func (a *app) root() *cobra.Command {
	var plain bool
	root := &cobra.Command{
		Use:   "flexi",
		Short: "Search transformer architectures, and watch it happen",
		Long: "flexi searches for the transformer encoder that suits your data and size budget, trains the candidates on this machine, and shows the search live.\n" +
			"Without a command it opens the workbench on the workspace's runs; q leaves it, and the runs go on in a server in the background.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.open(cmd.Context(), plain) },
	}
	root.Flags().BoolVar(&plain, "plain", false, "the workbench as lines of text, with typed commands, as for screen readers")
	f := root.PersistentFlags()
	f.StringVar(&a.workspace, "workspace", ".flexi", "folder that holds runs and weights")
	f.StringVar(&a.data, "data", "", "data folder; without it, the built-in demo language")
	f.StringVar(&a.device, "device", "auto", choose.Usage)
	f.Uint64Var(&a.seed, "seed", 1, "seed of everything random in a new run")
	f.BoolVar(&a.json, "json", false, "print JSON, one object per line")
	root.AddCommand(
		a.searchCommand(), a.flexoraCommand(), a.runsCommand(), a.statusCommand(), a.showCommand(), a.watchCommand(), a.serveCommand(),
		a.verbCommand(pauseVerb), a.verbCommand(stopVerb), a.resumeCommand(), a.branchCommand(), a.retryCommand(), a.freezeCommand(),
		a.exportCommand(), a.backupCommand(), a.doctorCommand(), a.inspectCommand(), a.benchCommand(), a.dataCommand(),
	)
	return root
}
