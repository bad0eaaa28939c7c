package opensource

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// kind is what the values of an option may be, as the open-source server sees it (mcp contract §9).
type kind struct {
	// what follows "must be" in a message.
	what string
	fits func(v any) bool
}

var (
	text   = kind{"a text", func(v any) bool { _, ok := v.(string); return ok }}
	filled = kind{"a text that is not blank", func(v any) bool { s, ok := v.(string); return ok && strings.TrimSpace(s) != "" }}
	flag   = kind{"true or false", func(v any) bool { _, ok := v.(bool); return ok }}
	table  = kind{"a table", func(v any) bool { _, ok := v.(map[string]any); return ok }}
	// anything is not looked into.
	anything = kind{"", func(any) bool { return true }}

	texts  = listOf(text, math.MaxInt, "")
	blanks = listOf(filled, math.MaxInt, "")
	// ids are tenants and namespaces.
	id  = whole(1, math.MaxInt64)
	ids = listOf(id, math.MaxInt, "")
	// amount is a number that the open-source server takes from 0, size one from 1.
	amount = whole(0, math.MaxInt64)
	size   = whole(1, math.MaxInt64)

	// file is a path with the lengths that the open-source server takes.
	file = kind{"a path of at most 4096 bytes, with parts of at most 255", func(v any) bool {
		s, ok := v.(string)
		return ok && strings.TrimSpace(s) != "" && len(s) <= 4096 &&
			!slices.ContainsFunc(strings.Split(s, "/"), func(part string) bool { return len(part) > 255 })
	}}
	// tools are names of tools.
	tools = listOf(oneOf("scenario_define", "scenario_start", "scenario_status", "scenario_next", "scenario_submit", "scenario_trigger",
		"evidence_query", "runpack_export", "runpack_verify", "providers_list", "provider_contract_get", "provider_check_schema_get",
		"schemas_register", "schemas_list", "schemas_get", "scenarios_list", "precheck", "decision_gate_docs_search"), 128, "names of tools")
	// token is a bearer token.
	token = kind{"a text of 1 to 256 bytes without space around it", func(v any) bool {
		s, ok := v.(string)
		return ok && s != "" && len(s) <= 256 && strings.TrimSpace(s) == s
	}}
	// subject is that of a client certificate.
	subject = kind{"a text of 1 to 512 bytes", func(v any) bool {
		s, ok := v.(string)
		return ok && strings.TrimSpace(s) != "" && len(s) <= 512
	}}
	// signatures is how far a provider's evidence is trusted (mcp contract §5.5).
	signatures = kind{`"audit" or { require_signature = { keys = ["PATH"] } }`, func(v any) bool {
		if v == "audit" {
			return true
		}
		outer, _ := v.(map[string]any)
		inner, ok := outer["require_signature"].(map[string]any)
		return ok && len(outer) == 1 && len(inner) == 1 && texts.fits(inner["keys"])
	}}
	textMap = kind{"a table of texts", func(v any) bool {
		m, ok := v.(map[string]any)
		for _, inner := range m {
			ok = ok && text.fits(inner)
		}
		return ok
	}}
)

func whole(low, high int64) kind {
	what := fmt.Sprintf("a whole number from %d to %d", low, high)
	if high == math.MaxInt64 {
		what = fmt.Sprintf("a whole number of at least %d", low)
	}
	return kind{what, func(v any) bool { n, ok := v.(int64); return ok && n >= low && n <= high }}
}

func oneOf(values ...string) kind {
	return kind{"one of " + strings.Join(values, ", "), func(v any) bool {
		s, ok := v.(string)
		return ok && slices.Contains(values, s)
	}}
}

// listOf is a list of at most most items of a kind; items names them in messages.
func listOf(inner kind, most int, items string) kind {
	if items == "" {
		items = "items, each " + inner.what
	}
	what := "a list of " + items
	if most < math.MaxInt {
		what = fmt.Sprintf("a list of at most %d %s", most, items)
	}
	return kind{what, func(v any) bool {
		list, ok := v.([]any)
		return ok && len(list) <= most && !slices.ContainsFunc(list, func(v any) bool { return !inner.fits(v) })
	}}
}

// tables is a list of tables, whose options are those with "[]" after the name.
func tables(most int) kind { return listOf(table, most, "tables") }
