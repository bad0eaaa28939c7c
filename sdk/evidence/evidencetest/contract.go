package evidencetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// contract is what a plugin says it can be asked (mcp contract §5.4).
type contract struct {
	Name         *string         `json:"name"`
	Description  *string         `json:"description"`
	ConfigSchema json.RawMessage `json:"config_schema"`
	Checks       []contractCheck `json:"checks"`
	Notes        []string        `json:"notes"`
	// Other members: what a capability file has that a plugin does not say.
	ProviderID json.RawMessage `json:"provider_id"`
	Transport  json.RawMessage `json:"transport"`
}

type contractCheck struct {
	ID             string          `json:"check_id"`
	Description    *string         `json:"description"`
	Determinism    string          `json:"determinism"`
	ParamsRequired *bool           `json:"params_required"`
	ParamsSchema   json.RawMessage `json:"params_schema"`
	ResultSchema   json.RawMessage `json:"result_schema"`
	Comparators    []string        `json:"allowed_comparators"`
	AnchorTypes    []string        `json:"anchor_types"`
	ContentTypes   []string        `json:"content_types"`
	Examples       []example       `json:"examples"`
}

type example struct {
	Description *string         `json:"description"`
	Params      json.RawMessage `json:"params"`
	Result      json.RawMessage `json:"result"`
}

// external says of a check that its answers depend on the world.
func (c *contractCheck) external() bool { return c.Determinism == "external" }

// needsMember says whether the schema of the parameters names one that must be there.
func (c *contractCheck) needsMember() bool {
	var schema struct{ Required []string }
	return json.Unmarshal(c.ParamsSchema, &schema) == nil && len(schema.Required) > 0
}

// given is the example's parameters, nil when it has none.
func (e *example) given() json.RawMessage {
	if string(e.Params) == "null" {
		return nil
	}
	return e.Params
}

var determinisms = []string{"deterministic", "time_dependent", "external"}

// comparators in the order in which a contract lists them (contract §4.1).
var comparators = []string{
	"equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal",
	"lex_greater_than", "lex_greater_than_or_equal", "lex_less_than", "lex_less_than_or_equal",
	"contains", "in_set", "deep_equals", "deep_not_equals", "exists", "not_exists",
}

// decodeContract refuses members that are misspelled: a host would find the right one missing.
func decodeContract(raw json.RawMessage) (*contract, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	c := &contract{}
	if err := decoder.Decode(c); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return c, nil
}

// problems says what a host would refuse, or what leaves the kit with nothing to ask.
func (c *contract) problems() []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if c.Name == nil || c.Description == nil || c.ConfigSchema == nil || c.Checks == nil || c.Notes == nil {
		say("it lacks one of name, description, config_schema, checks and notes")
	}
	if c.ProviderID != nil || c.Transport != nil {
		say("it has provider_id or transport, which are the host's to say: the plugin is a provider under the name that a configuration gives it")
	}
	if len(c.Checks) == 0 {
		say("it has no checks")
	}
	seen := map[string]bool{}
	for i := range c.Checks {
		check := &c.Checks[i]
		if strings.TrimSpace(check.ID) == "" || seen[check.ID] {
			say("check %d has the id %q, which is blank or used before", i+1, check.ID)
		}
		seen[check.ID] = true
		for _, problem := range check.problems() {
			say("check %s: %s", check.ID, problem)
		}
	}
	return found
}

func (c *contractCheck) problems() []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if c.Description == nil || c.ParamsRequired == nil || c.AnchorTypes == nil || c.ContentTypes == nil {
		say("it lacks one of description, params_required, anchor_types and content_types")
	}
	if !slices.Contains(determinisms, c.Determinism) {
		say("determinism is %q, not one of %s", c.Determinism, strings.Join(determinisms, ", "))
	}
	for name, schema := range map[string]json.RawMessage{"params_schema": c.ParamsSchema, "result_schema": c.ResultSchema} {
		if text := strings.TrimSpace(string(schema)); !strings.HasPrefix(text, "{") && text != "true" {
			say("%s is not a JSON Schema", name)
		}
	}
	last := 0
	for _, comparator := range c.Comparators {
		place := slices.Index(comparators, comparator)
		if place < last {
			say("comparator %q does not exist or is out of order; the order is %s", comparator, strings.Join(comparators, ", "))
			break
		}
		last = place
	}
	if len(c.Comparators) == 0 {
		say("it allows no comparator")
	}
	if len(c.Examples) == 0 {
		say("it has no example, so nothing of it can be tried")
	}
	for _, e := range c.Examples {
		if e.Description == nil || e.Params == nil || e.Result == nil {
			say("an example lacks one of description, params and result")
		}
	}
	return found
}

// same compares JSON texts: strictly, a number is its literal, else its value.
func same(a, b json.RawMessage, strictly bool) bool {
	x, errX := decode(a)
	y, errY := decode(b)
	if errX != nil || errY != nil {
		return false
	}
	if !strictly {
		x, y = valued(x), valued(y)
	}
	return reflect.DeepEqual(x, y)
}

func decode(text json.RawMessage) (v any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

// valued puts numbers in the place of their literals.
func valued(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = valued(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = valued(v[name])
		}
		return out
	default:
		return v
	}
}
