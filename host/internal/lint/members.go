package lint

import (
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var memberRule = Rule{
	Code: "unknown-member", Severity: Warning,
	// contract §0.4
	Fix: "Correct the name or remove the member: the host drops it without a word, and it is no part of the hash.",
}

var (
	valueType       = reflect.TypeFor[canonical.Value]()
	requirementType = reflect.TypeFor[gate.Requirement]()
)

// unknownMembers finds the members that decoding ignores. What a scenario may hold is read off the types that it is decoded
// into, so that the two cannot drift apart.
func unknownMembers(v canonical.Value, found report) {
	membersOf(v, reflect.TypeFor[gate.ScenarioSpec](), "", found)
}

func membersOf(v canonical.Value, t reflect.Type, path string, found report) {
	switch {
	case t == valueType:
		// Anything may be in there.
	case t == requirementType:
		requirementMembers(v, path, found)
	case t.Kind() == reflect.Pointer:
		membersOf(v, t.Elem(), path, found)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		for i, item := range v.Items() {
			membersOf(item, t.Elem(), index(path, i), found)
		}
	case t.Kind() == reflect.Struct:
		structMembers(v, t, path, found)
	}
}

func structMembers(v canonical.Value, t reflect.Type, path string, found report) {
	fields := fieldsOf(v, t)
	for _, m := range v.Members() {
		field, known := fields[m.Name]
		switch {
		case !known:
			found(join(path, m.Name), "there is no member `%s` here%s", clip(m.Name), suggest(m.Name, names(fields)))
		case field == nil:
			found(join(path, m.Name), "`%s` has no meaning with this kind", m.Name)
		default:
			membersOf(m.Value, field, join(path, m.Name), found)
		}
	}
}

// fieldsOf are the types of the members that a struct has, by name; nil for those of another variant of a tagged union.
func fieldsOf(v canonical.Value, t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	tag, unreadable := "", false
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("member")
		if name == "" {
			continue
		}
		if kinds, ok := reflect.Zero(f.Type).Interface().(canonical.Enum); ok && i == 0 {
			first, _ := v.Member(name)
			tag, _ = first.Text()
			unreadable = !slices.Contains(kinds.Names(), tag)
		}
		variants := f.Tag.Get("variant")
		switch {
		case unreadable || variants == "" || slices.Contains(strings.Split(variants, ","), tag):
			fields[name] = f.Type
		case fields[name] == nil:
			fields[name] = nil
		}
	}
	return fields
}

func names[T any](m map[string]T) []string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

var groupMembers = []string{"min", "reqs"}

// requirementMembers walks a requirement tree, which is tagged by its one member.
func requirementMembers(v canonical.Value, path string, found report) {
	for _, m := range v.Members() {
		at := join(path, m.Name)
		switch gate.RequirementKind(m.Name) {
		case gate.And, gate.Or:
			requirementItems(m.Value, at, found)
		case gate.Not:
			requirementMembers(m.Value, at, found)
		case gate.Group:
			for _, inner := range m.Value.Members() {
				if !slices.Contains(groupMembers, inner.Name) {
					found(join(at, inner.Name), "there is no member `%s` here%s", clip(inner.Name), suggest(inner.Name, groupMembers))
				}
			}
			reqs, _ := m.Value.Member("reqs")
			requirementItems(reqs, at+".reqs", found)
		}
	}
}

func requirementItems(v canonical.Value, path string, found report) {
	for i, item := range v.Items() {
		requirementMembers(item, index(path, i), found)
	}
}

// maxDistance is how many letters a name may be off for another to be suggested.
const maxDistance = 2

// suggest is "; did you mean ...?" for the nearest of the known names when it is near, else empty.
func suggest[Name ~string](given Name, known []Name) string {
	best, distance := Name(""), maxDistance+1
	for _, name := range known {
		if d := levenshtein.Distance(clip(string(given)), clip(string(name)), nil); d < distance && d < len(name) {
			best, distance = name, d
		}
	}
	if best == "" || best == given {
		return ""
	}
	return "; did you mean `" + clip(string(best)) + "`?"
}

// maxQuoted is how many bytes of a name a message repeats.
const maxQuoted = 64

func clip(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
}
