package schema

import (
	"errors"
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
	// maxText bounds a text of the library, which may repeat a pattern of a megabyte.
	maxText = 400
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
	case *kind.Format:
		text = cut(fmt.Sprintf("%s is not a valid %s: %v", value, k.Want, k.Err), maxText)
	default:
		if len(e.Causes) > 0 {
			return causes(list, e, v)
		}
		text = cut(e.ErrorKind.LocalizedString(english), maxText)
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

func clip(text string) string { return cut(text, maxQuoted) }

// cut shortens a text without cutting a character in two.
func cut(text string, end int) string {
	if len(text) <= end {
		return text
	}
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

// refusal words the library's error of a schema that cannot be compiled, which has names of this package in it.
func refusal(err error, document canonical.Value) error {
	var invalid *jsonschema.SchemaValidationError
	var pointer *jsonschema.JSONPointerNotFoundError
	var anchor *jsonschema.AnchorNotFoundError
	var outside *jsonschema.LoadURLError
	var expression *jsonschema.InvalidRegexError
	switch {
	case errors.As(err, &invalid):
		return mistakes(invalid, document)
	case errors.As(err, &pointer):
		return leadsNowhere(pointer.URL)
	case errors.As(err, &anchor):
		return leadsNowhere(anchor.Reference)
	case errors.As(err, &outside):
		return outside.Err
	case errors.As(err, &expression):
		return fmt.Errorf("pattern %q: %w", clip(expression.Regex), expression.Err)
	default:
		return errors.New(strings.ReplaceAll(err.Error(), location, ""))
	}
}

func leadsNowhere(url string) error {
	return fmt.Errorf("reference %q leads nowhere", clip(strings.TrimPrefix(url, location)))
}

// mistakes says what the draft does not allow in a document. The error is one of the document, or of a part of it that a
// reference leads to.
func mistakes(err *jsonschema.SchemaValidationError, document canonical.Value) error {
	var found *jsonschema.ValidationError
	if !errors.As(err.Err, &found) {
		return err.Err
	}
	part, within := strings.CutPrefix(err.URL, location+"#/")
	if within {
		document = at(document, strings.Split(part, "/"))
	}
	text := strings.Join(texts(nil, plainest(found), document), "; ")
	if within {
		text = fmt.Sprintf("reference %q leads to what is no schema: %s", "#/"+clip(part), text)
	}
	return errors.New(text)
}

// plainest tells of the first of several forms that a keyword may have, since "any of the schemas" would be the draft's own.
func plainest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	if _, forms := e.ErrorKind.(*kind.AnyOf); forms && len(e.Causes) > 0 {
		return plainest(e.Causes[0])
	}
	for i, cause := range e.Causes {
		e.Causes[i] = plainest(cause)
	}
	return e
}
