package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"flexi/tui"
)

func (a *app) benchTUICommand() *cobra.Command {
	var trials, width, height, frames, seconds int
	cmd := &cobra.Command{
		Use:   "tui",
		Short: "Time the workbench on a made-up search",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if trials < 2 || width < 20 || height < 5 || frames < 1 || seconds < 1 {
				return usagef("--trials must be at least 2, --width 20, --height 5, --frames and --seconds 1")
			}
			c, err := tui.Measure(trials, width, height, frames)
			if err != nil {
				return err
			}
			l, err := tui.MeasureLive(cmd.Context(), trials, width, height, frames, time.Duration(seconds)*time.Second)
			if err != nil {
				return err
			}
			return a.printCosts(c, l)
		},
	}
	f := cmd.Flags()
	f.IntVar(&trials, "trials", 10000, "trials of the made-up search")
	f.IntVar(&width, "width", 200, "columns")
	f.IntVar(&height, "height", 60, "rows")
	f.IntVar(&frames, "frames", 100, "frames, and keys")
	f.IntVar(&seconds, "seconds", 10, "how long live data and idleness are watched")
	return cmd
}

func (a *app) printCosts(c tui.Cost, l tui.Live) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]any{
			"width": c.Width, "height": c.Height, "trials": c.Trials, "update_seconds": c.Update.Seconds(), "view_seconds": c.View.Seconds(), "frame_bytes": c.Bytes,
			"first_seconds": l.First.Seconds(), "live_bytes_per_second": l.BytesPerSecond, "live_cores": l.LiveCores, "idle_cores": l.IdleCores,
			"key_median_seconds": l.KeyMedian.Seconds(), "key_p95_seconds": l.Key95.Seconds(),
		})
	}
	_, err := fmt.Fprintf(a.out, "%dx%d, %d trials: update %v, view %v, %d bytes a frame\nfirst picture after %v\nlive data: %.0f bytes a second, %.4f cores\n"+
		"key to picture: median %v, 95%% within %v\nidle: %.4f cores\n",
		c.Width, c.Height, c.Trials, c.Update, c.View, c.Bytes, l.First.Round(time.Microsecond), l.BytesPerSecond, l.LiveCores, l.KeyMedian.Round(time.Microsecond), l.Key95.Round(time.Microsecond), l.IdleCores)
	return err
}
