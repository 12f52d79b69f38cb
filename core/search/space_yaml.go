package search

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"flexi/core/run"
)

// ParseSpace parses a design space. Every mistake is reported as "name:line:column: what is wrong; what is allowed".
func ParseSpace(name, text string) (s *Space, err error) {
	if perr := run.WithoutPanic(func() error { s, err = parseSpace(name, text); return nil }); perr != nil {
		return nil, fmt.Errorf("%s: %w", name, perr)
	}
	return s, err
}

func parseSpace(name, text string) (*Space, error) {
	if err := run.CheckYAML([]byte(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return nil, yamlError(name, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fmt.Errorf("%s: a design space is one YAML document with the keys %s", name, strings.Join(yamlKeys(reflect.TypeFor[Space]()), ", "))
	}
	if err := checkKeys(name, file.Docs[0].Body, reflect.TypeFor[Space]()); err != nil {
		return nil, err
	}
	var s Space
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		return nil, yamlError(name, err)
	}
	if err := s.validate(locator{name, file}); err != nil {
		return nil, err
	}
	s.sort()
	return &s, nil
}

// yamlError puts the place of a parser's or decoder's error in front of its message.
func yamlError(name string, err error) error {
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		return fmt.Errorf("%s: %s", at(name, y.GetToken()), y.GetMessage())
	}
	return fmt.Errorf("%s: %w", name, err)
}

func at(name string, t *token.Token) string {
	return fmt.Sprintf("%s:%d:%d", name, t.Position.Line, t.Position.Column)
}

// checkKeys refuses keys that the struct type does not have; the decoder's own message would not say which it has.
func checkKeys(name string, node ast.Node, t reflect.Type) error {
	m, ok := node.(ast.MapNode)
	if !ok {
		return fmt.Errorf("%s: expected the keys %s", at(name, node.GetToken()), strings.Join(yamlKeys(t), ", "))
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().String()
		field, ok := fieldOf(t, key)
		if !ok {
			return fmt.Errorf("%s: unknown key %q; allowed are %s", at(name, it.Key().GetToken()), key, strings.Join(yamlKeys(t), ", "))
		}
		if field.Type.Kind() == reflect.Struct {
			if err := checkKeys(name, it.Value(), field.Type); err != nil {
				return err
			}
		}
	}
	return nil
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func yamlKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
	}
	return keys
}

// locator finds the line of a value, for errors about values that parse but make no sense.
type locator struct {
	name string
	file *ast.File
}

// errorf reports a mistake at a YAML path such as "$.hidden[1]"; a path that the text lacks is reported without a line.
func (l locator) errorf(path, format string, args ...any) error {
	where := l.name
	if p, err := yaml.PathString(path); err == nil {
		if node, err := p.FilterFile(l.file); err == nil && node != nil {
			where = at(l.name, node.GetToken())
		}
	}
	return fmt.Errorf("%s: %s: %s", where, strings.TrimPrefix(path, "$."), fmt.Sprintf(format, args...))
}
