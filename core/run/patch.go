package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Configurer is a Kind whose runs people may configure key by key.
type Configurer interface {
	// Configure returns a run's configuration and budget with changes, each "key=value" with a dotted key. While going the trials of the run stay: what
	// their scores depend on must not change. Errors say which change was wrong and what would do.
	Configure(r Run, trials []*Trial, changes []string, going bool) (config json.RawMessage, budget int, err error)
}

// Changer is a Job that takes up a changed run (configuration, budget, pins and skips) while it is open. It is called when no other method but Train is.
type Changer interface {
	Change(r Run) error
}

// Patch sets keys of a JSON object: changes are "key=value" with dotted keys, and a value is JSON or else a text. Only keys that the object has can be set.
func Patch(config json.RawMessage, changes []string) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(config))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	for _, change := range changes {
		key, value, ok := strings.Cut(change, "=")
		if !ok {
			return nil, fmt.Errorf("%q is no change: write key=value", change)
		}
		if err := setKey(object, strings.TrimSpace(key), parseValue(strings.TrimSpace(value))); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

func parseValue(s string) any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return s
	}
	return v
}

func setKey(object map[string]any, path string, value any) error {
	names := strings.Split(path, ".")
	for i, name := range names {
		old, there := object[name]
		if !there {
			return fmt.Errorf("there is no key %q; beside it there are %s", path, strings.Join(keysOf(object), ", "))
		}
		inner, isObject := old.(map[string]any)
		last := i == len(names)-1
		switch {
		case last && isObject:
			return fmt.Errorf("%q holds %s: name one of them, such as %s.%s", path, strings.Join(keysOf(inner), ", "), path, keysOf(inner)[0])
		case last:
			object[name] = value
		case !isObject:
			return fmt.Errorf("there is no key %q: %q is a value", path, strings.Join(names[:i+1], "."))
		default:
			object = inner
		}
	}
	return nil
}

func keysOf(object map[string]any) []string {
	var out []string
	for k := range object {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
