package run

import (
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// MaxYAML bounds a text in bytes: the library takes quadratic time for brackets in brackets.
const MaxYAML = 64 << 10

// CheckYAML refuses a text that is too long to be read.
func CheckYAML(text []byte) error {
	if len(text) > MaxYAML {
		return fmt.Errorf("%d bytes of YAML; at most %d are read", len(text), MaxYAML)
	}
	return nil
}

// WithoutPanic runs a decoder. The library panics on some malformed texts (a tag in front of a scalar where a list belongs); that is an error like any
// other.
func WithoutPanic(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("malformed YAML: %v", v)
		}
	}()
	return f()
}

// Preset is a complete configuration with a name.
type Preset[C any] struct {
	Name   string
	Config C
}

// PresetNames are the names in order, for people.
func PresetNames[C any](presets []Preset[C]) string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// LoadConfig takes one of the presets ("" is the one that the file names, else the first) and lays a YAML file over it (path "" is none). An unknown key
// or a wrong type is an error with its line. What names the configuration in errors.
func LoadConfig[C any](what, preset, path string, presets []Preset[C]) (c C, name string, err error) {
	fail := func(err error) (C, string, error) { return c, preset, fmt.Errorf("%s: %w", what, err) }
	var text []byte
	if path != "" {
		if text, err = os.ReadFile(path); err != nil {
			return fail(err)
		}
		if err := CheckYAML(text); err != nil {
			return fail(fmt.Errorf("%s: %w", path, err))
		}
		var head struct {
			Preset string `yaml:"preset"`
		}
		if err := decodeYAML(text, &head); err != nil {
			return fail(fmt.Errorf("%s: %w", path, err))
		}
		if preset == "" {
			preset = head.Preset
		}
	}
	if preset == "" {
		preset = presets[0].Name
	}
	for _, p := range presets {
		if p.Name == preset {
			c = p.Config
			if err := decodeYAML(text, &c, yaml.Strict()); err != nil {
				return fail(fmt.Errorf("%s: %w", path, err))
			}
			return c, preset, nil
		}
	}
	return fail(fmt.Errorf("there is no preset %q; presets are %s", preset, PresetNames(presets)))
}

func decodeYAML(text []byte, v any, o ...yaml.DecodeOption) error {
	if len(text) == 0 {
		return nil
	}
	err := WithoutPanic(func() error { return yaml.UnmarshalWithOptions(text, v, o...) })
	if err != nil {
		return fmt.Errorf("%s", yaml.FormatError(err, false, true))
	}
	return nil
}
