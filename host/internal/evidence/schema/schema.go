// Package schema validates JSON values against JSON Schemas (draft 2020-12) and says what is wrong in one line each.
//
// A schema may come from outside: it is compiled within a bound on its size, it cannot make the host read a file or an
// address, and what the library does on hostile numbers cannot end the process. Formats are annotations, as the draft has
// it by default.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// MaxSize is the size in canonical bytes of the largest schema (contract §0.6).
const MaxSize = 1 << 20

// Schema is a compiled schema. It may be used by many goroutines.
type Schema struct {
	compiled *jsonschema.Schema
}

// location names the schema for the library; nothing is ever fetched from there.
const location = "urn:decision-gate:schema"

// noLoader stops a $ref from reading a file of the host or asking an address.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to %q: only references inside the schema are possible", url)
}

// Compile compiles a schema.
func Compile(document canonical.Value) (s *Schema, err error) {
	defer recovered(&err)
	if _, err := canonical.AppendLimited(nil, document, MaxSize); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(location, plain(document)); err != nil {
		return nil, err
	}
	compiled, err := compiler.Compile(location)
	if err != nil {
		return nil, err
	}
	return &Schema{compiled}, nil
}

// Validate returns what is wrong with a value, nothing when it is valid. Each text names the place unless it is the value
// itself that is wrong.
func (s *Schema) Validate(v canonical.Value) []string {
	err := s.check(v)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return texts(nil, invalid, v)
	default:
		return []string{err.Error()}
	}
}

func (s *Schema) check(v canonical.Value) (err error) {
	defer recovered(&err)
	return s.compiled.Validate(plain(v))
}

// recovered turns a panic of the library into an error: v6.0.3 has one on numbers with huge exponents, which a
// canonical.Value cannot hold, and there may be more.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("schema cannot be evaluated: %v", p)
	}
}

// plain is a value as the library wants it, with numbers as literals so that integers stay exact.
func plain(v canonical.Value) any {
	switch v.Kind() {
	case canonical.Null:
		return nil
	case canonical.Bool:
		return v.Bool()
	case canonical.String:
		text, _ := v.Text()
		return text
	case canonical.Array:
		list := make([]any, len(v.Items()))
		for i, item := range v.Items() {
			list[i] = plain(item)
		}
		return list
	case canonical.Object:
		object := make(map[string]any, len(v.Members()))
		for _, m := range v.Members() {
			object[m.Name] = plain(m.Value)
		}
		return object
	default:
		return json.Number(canonical.AppendValue(nil, v, canonical.Declared))
	}
}

// at returns what lies at a path inside a value.
func at(v canonical.Value, path []string) canonical.Value {
	for _, name := range path {
		if v.Kind() == canonical.Array {
			n, err := strconv.Atoi(name)
			if err != nil || n < 0 || n >= len(v.Items()) {
				return canonical.Value{}
			}
			v = v.Items()[n]
			continue
		}
		v, _ = v.Member(name)
	}
	return v
}
