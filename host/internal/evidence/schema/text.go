package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

const (
	// maxQuoted bounds the part of a value that a text repeats.
	maxQuoted = 96
	// maxProblems bounds the texts for one value: a list of a million wrong elements is as wrong as one.
	maxProblems = 16
)

// english words the errors that this package has no words for.
var english = message.NewPrinter(language.English)

// texts appends what the leaves of an error say.
func texts(list []string, e *jsonschema.ValidationError, v canonical.Value) []string {
	if len(list) >= maxProblems {
		return list
	}
	value := quote(at(v, e.InstanceLocation))
	text := ""
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			list = append(list, fmt.Sprintf("%q is a required property", name)+place(e))
		}
		return list
	case *kind.AdditionalProperties:
		text = fmt.Sprintf("Additional properties are not allowed (%s unexpected)", unexpected(k.Properties))
	case *kind.Type:
		text = fmt.Sprintf("%s is not of type %s", value, types(k.Want))
	case *kind.OneOf:
		text = value + " is not valid under any of the schemas listed in the 'oneOf' keyword"
		if k.Subschemas != nil {
			text = value + " is valid under more than one of the schemas listed in the 'oneOf' keyword"
		}
	case *kind.AnyOf:
		text = value + " is not valid under any of the schemas listed in the 'anyOf' keyword"
	case *kind.Enum:
		text = fmt.Sprintf("%s is not one of the %d allowed values", value, len(k.Want))
	default:
		if len(e.Causes) > 0 {
			return causes(list, e, v)
		}
		text = e.ErrorKind.LocalizedString(english)
	}
	return append(list, text+place(e))
}

// causes appends the texts of what lies below: what is missing first, then by place.
func causes(list []string, e *jsonschema.ValidationError, v canonical.Value) []string {
	slices.SortStableFunc(e.Causes, func(a, b *jsonschema.ValidationError) int {
		if order := order(a) - order(b); order != 0 {
			return order
		}
		return slices.Compare(a.InstanceLocation, b.InstanceLocation)
	})
	for _, cause := range e.Causes {
		list = texts(list, cause, v)
	}
	return list
}

func order(e *jsonschema.ValidationError) int {
	switch e.ErrorKind.(type) {
	case *kind.Required:
		return 0
	case *kind.AdditionalProperties:
		return 1
	default:
		return 2
	}
}

// place names where a problem is, unless it is the value itself.
func place(e *jsonschema.ValidationError) string {
	if len(e.InstanceLocation) == 0 {
		return ""
	}
	return " at " + strconv.Quote(clip(strings.Join(e.InstanceLocation, ".")))
}

func quote(v canonical.Value) string {
	return clip(string(canonical.AppendValue(nil, v, canonical.Declared)))
}

// clip shortens a text without cutting a character in two.
func clip(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	end := maxQuoted
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func unexpected(names []string) string {
	slices.Sort(names)
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = "'" + name + "'"
	}
	verb := " was"
	if len(names) > 1 {
		verb = " were"
	}
	return clip(strings.Join(quoted, ", ")) + verb
}

func types(want []string) string {
	quoted := make([]string, len(want))
	for i, name := range want {
		quoted[i] = strconv.Quote(name)
	}
	return strings.Join(quoted, " or ")
}
