package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"flexi/tui"
)

func (a *app) benchTUICommand() *cobra.Command {
	var trials, width, height, frames int
	cmd := &cobra.Command{
		Use:   "tui",
		Short: "Time frames of the workbench on a made-up search",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if trials < 2 || width < 1 || height < 1 || frames < 1 {
				return usagef("--trials must be at least 2, --width, --height and --frames at least 1")
			}
			c, err := tui.Measure(trials, width, height, frames)
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(map[string]any{
					"width": c.Width, "height": c.Height, "trials": c.Trials, "update_seconds": c.Update.Seconds(), "view_seconds": c.View.Seconds(), "frame_bytes": c.Bytes,
				})
			}
			_, err = fmt.Fprintf(a.out, "%dx%d, %d trials: update %v, view %v, %d bytes a frame\n", c.Width, c.Height, c.Trials, c.Update, c.View, c.Bytes)
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&trials, "trials", 10000, "trials of the made-up search")
	f.IntVar(&width, "width", 200, "columns")
	f.IntVar(&height, "height", 60, "rows")
	f.IntVar(&frames, "frames", 100, "frames")
	return cmd
}
