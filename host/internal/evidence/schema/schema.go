// Package schema validates JSON values against JSON Schemas (draft 2020-12) and says what is wrong in one line each.
//
// A schema may come from outside: it is compiled within bounds on its size, it cannot make the host read a file or an
// address, its evaluation ends after a number of steps, and what the library does on hostile numbers cannot end the
// process. Formats are annotations, as the draft has it by default.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Schema is a compiled schema. It may be used by many goroutines; one of Compile validates one value at a time.
type Schema struct {
	compiled *jsonschema.Schema
	// inverse is what the values match that are not valid: told so, the library keeps no errors.
	inverse *jsonschema.Schema
	// meter counts the steps of a schema from outside; nil when it was compiled by CompileTrusted.
	meter *meter
	// steps is maxSteps, but in tests.
	steps int
	// turn is for the meter, which is one for the schema.
	turn sync.Mutex
}

// The names of the schemas for the library; nothing is ever fetched from there.
const (
	location        = "urn:decision-gate:schema"
	inverseLocation = "urn:decision-gate:inverse"
)

// noLoader stops a $ref from reading a file of the host or asking an address.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to %q: only references inside the schema are possible", url)
}

// CompileTrusted compiles a schema that is part of the host. Its evaluation is not bounded by steps.
func CompileTrusted(document canonical.Value) (s *Schema, err error) {
	defer recovered(&err)
	compiler, err := newCompiler(document)
	if err != nil {
		return nil, err
	}
	s = &Schema{}
	s.compiled, err = compiler.Compile(location)
	return s, err
}

// Compile compiles a schema from outside. The error says what is wrong with it, or which bound it is beyond.
func Compile(document canonical.Value) (s *Schema, err error) {
	defer recovered(&err)
	if _, err := canonical.AppendLimited(nil, document, MaxSize); err != nil {
		return nil, err
	}
	if n := subschemas(document); n > maxSubschemas {
		return nil, fmt.Errorf("it has %d objects and booleans, more than %d", n, maxSubschemas)
	}
	compiler, err := newCompiler(document)
	if err != nil {
		return nil, err
	}
	s = &Schema{meter: &meter{}, steps: maxSteps}
	compiler.UseRegexpEngine(s.meter.patterns())
	inverse := map[string]any{"not": map[string]any{"$ref": location}}
	if err := compiler.AddResource(inverseLocation, inverse); err != nil {
		return nil, err
	}
	if s.compiled, err = compiler.Compile(location); err != nil {
		return nil, refusal(err, document)
	}
	if s.inverse, err = compiler.Compile(inverseLocation); err != nil {
		return nil, err
	}
	return s, s.meter.install(s.compiled)
}

func newCompiler(document canonical.Value) (*jsonschema.Compiler, error) {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	return compiler, compiler.AddResource(location, plain(document))
}

// Budget is what several validations may take together, of one schema or of many. It is for one goroutine.
type Budget struct{ steps int }

// NewBudget returns what one validation may take.
func NewBudget() *Budget { return &Budget{maxSteps} }

// Validate returns what is wrong with a value, nothing when it is valid. Each text names the place unless it is the value
// itself that is wrong.
func (s *Schema) Validate(v canonical.Value) []string {
	return s.ValidateWithin(&Budget{s.steps}, v)
}

// ValidateWithin is Validate on a budget of steps.
func (s *Schema) ValidateWithin(budget *Budget, v canonical.Value) []string {
	document := plain(v)
	if s.meter != nil {
		s.turn.Lock()
		defer s.turn.Unlock()
		s.meter.left = budget.steps
		err := evaluate(s.inverse, document)
		budget.steps = s.meter.left
		if err != nil && !errors.Is(err, errNoEnd) {
			return nil // not "not valid"
		}
		if err != nil {
			return []string{err.Error()}
		}
		s.meter.left = explainSteps(v)
	}
	err := evaluate(s.compiled, document)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return texts(nil, invalid, v)
	case errors.Is(err, errNoEnd):
		return []string{"it is not valid, and too large for its mistakes to be listed"}
	default:
		return []string{err.Error()}
	}
}

func evaluate(s *jsonschema.Schema, document any) (err error) {
	defer recovered(&err)
	return s.Validate(document)
}

// recovered turns a panic into an error: that of the meter, and any of the library. v6.0.3 has one on numbers with huge
// exponents, which a canonical.Value cannot hold, and there may be more.
func recovered(err *error) {
	switch p := recover(); p {
	case nil:
	case errNoEnd:
		*err = errNoEnd
	default:
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
