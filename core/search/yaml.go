package search

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// maxYAML bounds a text in bytes: the library takes quadratic time for brackets in brackets.
const maxYAML = 64 << 10

func checkSize(text []byte) error {
	if len(text) > maxYAML {
		return fmt.Errorf("%d bytes of YAML; at most %d are read", len(text), maxYAML)
	}
	return nil
}

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
