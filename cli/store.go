package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"flexi/core/device"
	"flexi/core/device/cpu"
	"flexi/core/device/cuda"
	"flexi/db"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the database to FILE (- for stdout)",
		Args: func(cmd *cobra.Command, args []string) error {
			if a.lent != nil {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd, func(w *workspace) error {
				if w.lent && w.store == nil {
					return fmt.Errorf("%w: a backup takes an operator's key", errRefused)
				}
				write := func(f io.Writer) error { return db.BackupOf(a.workspace, f) }
				if w.store != nil {
					write = func(f io.Writer) error { return w.store.Backup(cmd.Context(), f) }
				}
				if w.lent || args[0] == "-" {
					return write(a.out)
				}
				return writeFile(args[0], write)
			})
		},
	}
}

// writeFile writes a file whole or not at all: into a neighbour first, then renamed.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// check is one line of the doctor's findings.
type check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	// Absent is what can be done without, and is.
	Absent bool `json:"absent,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do and whether the workspace is sound",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := []check{
				{Name: "program", OK: true, Text: fmt.Sprintf("flexi %s, %s, %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)},
				cpuCheck(),
			}
			checks = append(append(checks, gpuChecks()...), a.workspaceCheck())
			bad := 0
			for _, c := range checks {
				if !c.OK {
					bad++
				}
				if err := a.printCheck(c); err != nil {
					return err
				}
			}
			if bad > 0 {
				return fmt.Errorf("%d of %d checks failed", bad, len(checks))
			}
			return nil
		},
	}
}

func (a *app) printCheck(c check) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(c)
	}
	mark := "ok"
	switch {
	case !c.OK:
		mark = "FAIL"
	case c.Absent:
		mark = "none"
	}
	_, err := fmt.Fprintf(a.out, "%-4s  %-11s %s\n", mark, c.Name, c.Text)
	return err
}

func cpuCheck() check {
	d, err := cpu.New(runtime.NumCPU(), device.PrecisionF32)
	if err != nil {
		return check{Name: "cpu", OK: false, Text: err.Error()}
	}
	defer d.Close()
	return check{Name: "cpu", OK: true, Text: d.Describe()}
}

// gpuChecks never fail a machine without a GPU: what is missing is said, and trainings run on the CPU.
func gpuChecks() []check {
	var out []check
	for _, f := range cuda.Examine() {
		out = append(out, check{Name: f.Name, OK: true, Text: f.Text, Absent: !f.OK})
	}
	return out
}

func (a *app) workspaceCheck() check {
	if w, err := a.call(); err == nil && w != nil {
		w.guest.Close()
		return check{Name: "workspace", OK: true, Text: a.workspace + " is in use by another flexi process, which answers"}
	}
	if _, err := os.Stat(a.workspace); os.IsNotExist(err) {
		return check{Name: "workspace", OK: true, Text: a.workspace + " does not exist yet; the first search makes it"}
	}
	report, err := db.Check(a.workspace)
	if err != nil {
		return check{Name: "workspace", OK: false, Text: err.Error()}
	}
	return check{Name: "workspace", OK: true, Text: report}
}
