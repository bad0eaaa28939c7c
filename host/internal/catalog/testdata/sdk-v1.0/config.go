package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Apply checks a config body against the schema and fills in the defaults. The host has checked it too, but the lock
// file it checked against may be of another version of the plugin. The error is fault.Invalid and names the attribute,
// never its value, which may be secret. A null is an absent attribute; an absent block stays absent.
func (s ConfigSchema) Apply(config json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(config)) == 0 {
		config = json.RawMessage("{}")
	}
	body, err := s.apply("", config)
	if err != nil {
		return nil, err
	}
	return body, nil
}

func (s ConfigSchema) apply(path string, config json.RawMessage) (json.RawMessage, error) {
	var body map[string]json.RawMessage
	if err := json.Unmarshal(config, &body); err != nil || body == nil {
		return nil, invalidAt(path, "want an object")
	}
	maps.DeleteFunc(body, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	known := map[string]bool{}
	for _, attribute := range s.Attributes {
		known[attribute.Name] = true
		if err := attribute.apply(path, body); err != nil {
			return nil, err
		}
	}
	for _, block := range s.Blocks {
		known[block.Name] = true
		if err := block.apply(path, body); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !known[name] {
			return nil, invalidAt(path+name, "the plugin has no such attribute or block")
		}
	}
	return json.Marshal(body)
}

func invalidAt(path, format string, args ...any) error {
	path = strings.TrimSuffix(path, ".")
	if path == "" {
		path = "body"
	}
	return fault.New(fault.Invalid, "config %s: %s", path, fmt.Sprintf(format, args...))
}

func (b Block) apply(path string, body map[string]json.RawMessage) error {
	value, present := body[b.Name]
	if !present {
		if b.Required {
			return invalidAt(path+b.Name, "the block is required")
		}
		return nil
	}
	if !b.Repeated {
		applied, err := b.Body.apply(path+b.Name+".", value)
		body[b.Name] = applied
		return err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return invalidAt(path+b.Name, "want a list of objects")
	}
	if b.Required && len(items) == 0 {
		return invalidAt(path+b.Name, "the block is required")
	}
	for i, item := range items {
		applied, err := b.Body.apply(fmt.Sprintf("%s%s[%d].", path, b.Name, i), item)
		if err != nil {
			return err
		}
		items[i] = applied
	}
	applied, err := json.Marshal(items)
	body[b.Name] = applied
	return err
}

func (a Attribute) apply(path string, body map[string]json.RawMessage) error {
	value, present := body[a.Name]
	switch {
	case !present && a.Required:
		return invalidAt(path+a.Name, "the attribute is required")
	case !present && a.Default == "":
		return nil
	case !present:
		value = json.RawMessage(a.Default)
		body[a.Name] = value
	}
	if why := a.check(value); why != "" {
		return invalidAt(path+a.Name, "%s", why)
	}
	return nil
}

// check says what is wrong with a value; empty when nothing is.
func (a Attribute) check(value json.RawMessage) string {
	switch a.Type {
	case String:
		return checkAs(value, "a string", a.checkOneOf)
	case StringList:
		return checkAs(value, "a list of strings", func(list []string) string {
			for _, element := range list {
				if why := a.checkOneOf(element); why != "" {
					return why
				}
			}
			return ""
		})
	case Bool:
		return checkAs(value, "true or false", func(bool) string { return "" })
	case Integer:
		return checkOrdered(value, a, "an integer", func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
	case Number:
		return checkOrdered(value, a, "a number", func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
	case Duration:
		return checkAs(value, "a duration such as \"250ms\"", func(text string) string {
			return checkOrdered(json.RawMessage(text), a, "a duration such as \"250ms\"", time.ParseDuration)
		})
	default:
		return fmt.Sprintf("the schema has the unknown type %q", a.Type)
	}
}

func checkAs[T any](value json.RawMessage, want string, check func(T) string) string {
	var decoded *T
	if err := json.Unmarshal(value, &decoded); err != nil || decoded == nil {
		return "want " + want
	}
	return check(*decoded)
}

func (a Attribute) checkOneOf(value string) string {
	if len(a.OneOf) > 0 && !slices.Contains(a.OneOf, value) {
		return fmt.Sprintf("want one of %q", a.OneOf)
	}
	return ""
}

// checkOrdered parses a value and its bounds the same way.
func checkOrdered[T int64 | float64 | time.Duration](value json.RawMessage, a Attribute, want string, parse func(string) (T, error)) string {
	number, err := parse(string(bytes.TrimSpace(value)))
	if err != nil {
		return "want " + want
	}
	for _, bound := range []struct {
		text, word string
		passed     func(limit T) bool
	}{
		{a.Minimum, "at least", func(limit T) bool { return number < limit }},
		{a.Maximum, "at most", func(limit T) bool { return number > limit }},
	} {
		if bound.text == "" {
			continue
		}
		limit, err := parse(bound.text)
		if err != nil {
			return fmt.Sprintf("the schema has the bound %q, want %s", bound.text, want)
		}
		if bound.passed(limit) {
			return "want " + bound.word + " " + bound.text
		}
	}
	return ""
}
