package search

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// unmarshalYAML decodes into v. The library panics on some malformed texts (a tag in front of a scalar where a list belongs); that is an error like
// any other.
func unmarshalYAML(text []byte, v any, o ...yaml.DecodeOption) error {
	return withoutPanic(func() error { return yaml.UnmarshalWithOptions(text, v, o...) })
}

func withoutPanic(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("malformed YAML: %v", v)
		}
	}()
	return f()
}
