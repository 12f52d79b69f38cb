package finetune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"flexi/core/selection"
)

// sidecarName is the file beside an adapter that tells how its layers were chosen; PEFT passes over it.
const sidecarName = "flexora.json"

// sidecarFormat is the version of its format.
const sidecarFormat = 1

// Sidecar is flexora.json: with it the second stage can be repeated without the first.
type Sidecar struct {
	Format    int               `json:"format"`
	BaseModel string            `json:"base_model"`
	BaseHash  string            `json:"base_sha256"`
	Layers    int               `json:"layers"` // of the model
	Selection selection.Set     `json:"selection"`
	Search    BilevelOptions    `json:"search"`
	Data      map[string]string `json:"data_sha256"` // by file
	Seed      uint64            `json:"seed"`
	History   string            `json:"history,omitempty"` // file of the outer steps, one JSON object a line
}

// WriteSidecar writes flexora.json into an adapter's folder.
func WriteSidecar(dir string, s Sidecar) error {
	s.Format = sidecarFormat
	if err := s.check(); err != nil {
		return fmt.Errorf("write %s: %w", sidecarName, err)
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", sidecarName, err)
	}
	return writeWhole(filepath.Join(dir, sidecarName), func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

// ReadSidecar reads flexora.json. A key that it does not know is an error, since it may change what the others mean.
func ReadSidecar(dir string) (Sidecar, error) {
	path := filepath.Join(dir, sidecarName)
	b, err := os.ReadFile(path)
	if err != nil {
		return Sidecar{}, fmt.Errorf("read the layer selection: %w", err)
	}
	s, err := parseSidecar(b)
	if err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func parseSidecar(b []byte) (Sidecar, error) {
	var version struct{ Format int }
	if err := json.Unmarshal(b, &version); err != nil {
		return Sidecar{}, err
	}
	if version.Format != sidecarFormat {
		return Sidecar{}, fmt.Errorf("format %d is not %d: it is of another version of flexi", version.Format, sidecarFormat)
	}
	var s Sidecar
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, err
	}
	return s, s.check()
}

func (s Sidecar) check() error {
	if len(s.Selection.Layers) == 0 {
		return ErrNoModules
	}
	if len(s.Selection.Alpha) != s.Layers || len(s.Selection.Multipliers) != s.Layers || len(s.Selection.Order) != s.Layers {
		return fmt.Errorf("%d alphas, %d multipliers and %d ranked layers: the model has %d layers",
			len(s.Selection.Alpha), len(s.Selection.Multipliers), len(s.Selection.Order), s.Layers)
	}
	for i, l := range s.Selection.Layers {
		if l < 0 || l >= s.Layers || i > 0 && l <= s.Selection.Layers[i-1] {
			return fmt.Errorf("selected layers %v: they must rise from 0 to at most %d", s.Selection.Layers, s.Layers-1)
		}
	}
	return nil
}
