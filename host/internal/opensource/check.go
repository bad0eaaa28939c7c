package opensource

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxMistakes is how many mistakes are told: a file with more is another than its owner thinks.
const maxMistakes = 50

// source is a file whose options are known one by one.
type source struct {
	*document
	options Options
	// values are all options and tables of the file, by path.
	values map[string]any
	// found says which option each path is.
	found map[string]option
	wrong []Finding
}

func (s *source) mistake(at, format string, args ...any) {
	if len(s.wrong) >= maxMistakes {
		return
	}
	s.wrong = append(s.wrong, Finding{clip(at), s.line(at), fmt.Sprintf(format, args...)})
}

// check finds what the open-source server refuses, and keys that it would have ignored: nobody meant those.
func (s *source) check() {
	s.found = map[string]option{}
	s.table(wholeFile, "", "", s.root)
	if len(s.wrong) > 0 {
		return // rules look at values whose types are right
	}
	for _, rule := range rules {
		rule(s)
	}
}

// table checks a table at a path whose options are those of a pattern.
func (s *source) table(known schema, at, pattern string, values map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if len(s.wrong) >= maxMistakes {
			return
		}
		inner, v := join(at, key), values[key]
		o, ok := known.options[join(pattern, key)]
		// A quoted key "server.bind" is another than bind in [server].
		if !ok || strings.ContainsAny(key, ".[") {
			s.mistake(inner, "unknown option, which the open-source server ignored.%s Correct it, or remove it", suggestion(key, known.children[pattern]))
			continue
		}
		if !o.kind.fits(v) {
			s.mistake(inner, "must be %s", o.kind.what)
			continue
		}
		s.values[inner], s.found[inner] = v, o
		s.below(known, inner, join(pattern, key), v)
	}
	for _, name := range known.children[pattern] {
		if _, there := values[name]; !there && known.options[join(pattern, name)].needed {
			s.mistake(join(at, name), "is missing, and must be there")
		}
	}
}

// below checks what is inside of a table or a list of tables.
func (s *source) below(known schema, at, pattern string, v any) {
	if len(known.children[pattern]) > 0 {
		s.table(known, at, pattern, v.(map[string]any))
	}
	if len(known.children[pattern+"[]"]) == 0 {
		return
	}
	for i, inner := range v.([]any) {
		s.values[item(at, i)] = inner
		s.table(known, item(at, i), pattern+"[]", inner.(map[string]any))
	}
}

func suggestion(given string, names []string) string {
	for _, name := range names {
		if levenshtein.Distance(clip(given), name, nil) < 3 {
			return fmt.Sprintf(" Did you mean %q?", name)
		}
	}
	return ""
}

// clip shortens a key for a message.
func clip(text string) string {
	const limit = 200
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

func (s *source) has(at string) bool { _, ok := s.values[at]; return ok }

// valueAt is the value at a path, or the zero value when it is absent.
func valueAt[T any](s *source, at string) T {
	v, _ := s.values[at].(T)
	return v
}

// text is a text, with the default when it is absent.
func (s *source) text(at, normal string) string {
	if v, ok := s.values[at].(string); ok {
		return v
	}
	return normal
}

func (s *source) flag(at string, normal bool) bool {
	if v, ok := s.values[at].(bool); ok {
		return v
	}
	return normal
}

func (s *source) whole(at string, normal int64) int64 {
	if v, ok := s.values[at].(int64); ok {
		return v
	}
	return normal
}

// list is a list of texts, nil when it is absent.
func (s *source) list(at string) []string {
	v, ok := s.values[at].([]any)
	if !ok {
		return nil
	}
	texts := make([]string, len(v))
	for i, inner := range v {
		texts[i] = inner.(string)
	}
	return texts
}

// items are the paths of the tables in a list.
func (s *source) items(at string) []string {
	var paths []string
	for i := range valueAt[[]any](s, at) {
		paths = append(paths, item(at, i))
	}
	return paths
}

// isNormal reports whether an option has its default.
func (s *source) isNormal(at string) bool {
	v, ok := s.values[at]
	if !ok || reflect.DeepEqual(v, s.found[at].normal) {
		return true
	}
	list, isList := v.([]any)
	return isList && len(list) == 0 && s.found[at].normal == nil
}
