package cli

import (
	"context"
	"fmt"
	"os"

	"flexi/tui"
)

// open shows the workbench on the workspace: attached to the process that owns it, or on what is stored.
func (a *app) open(ctx context.Context) error {
	w, err := a.visit(ctx)
	if err != nil {
		return err
	}
	for _, n := range w.notices {
		fmt.Fprintln(a.err, "flexi:", n)
	}
	if a.json || !a.terminal() {
		s, serr := w.snapshot(ctx)
		if serr == nil {
			_, serr = fmt.Fprint(a.out, tui.RunsText(s.Runs, s.Time))
		}
		err = serr
	} else {
		err = tui.Run(ctx, w, tui.Options{In: a.in, Out: a.out, Environ: os.Environ(), InProcess: w.guest == nil})
	}
	if cerr := w.close(ctx); err == nil {
		err = cerr
	}
	return err
}
