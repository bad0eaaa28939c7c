package schema

import (
	"fmt"
	"strings"
	"testing"
)

// links is a schema of definitions that lead from one to the next, which is NEXT in the text of a link.
func links(n int, link, end string) string {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/$defs/0","$defs":{`)
	for i := range n {
		fmt.Fprintf(&b, `"%d":%s,`, i, strings.ReplaceAll(link, "NEXT", fmt.Sprintf(`{"$ref":"#/$defs/%d"}`, i+1)))
	}
	fmt.Fprintf(&b, `"%d":%s}}`, n, end)
	return b.String()
}

func list(item string, n int) string { return item + strings.Repeat(","+item, n-1) }

// numbered is a list of texts that differ by their number.
func numbered(format string, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ",")
}

// testFraction of the steps is what the tests wait for.
const testFraction = 16

// TestAttacks gives schemas that would take the time, the memory or the stack of the host. One that takes the stack would end
// this test; one that takes the time would not let it end.
func TestAttacks(t *testing.T) {
	const (
		endless = "it takes too many steps to check against the schema"
		nested  = "more than 256 schemas apply to the same value in one another"
		itself  = "it refers to itself for the same value, without end"
		many    = "objects and booleans, more than 10000"
		regexps = "the patterns have more than 100000 instructions together"
	)
	deep := strings.Repeat("[", 126) + strings.Repeat("]", 126)
	long := strings.Repeat("a", 100_000)
	for _, c := range []struct{ name, schema, value, want string }{
		{"doubling", links(60, `{"allOf":[NEXT,NEXT]}`, `true`), `1`, endless},
		{"doubling, all wrong", links(60, `{"anyOf":[NEXT,NEXT]}`, `{"type":"string"}`), `1`, endless},
		{"doubling where errors are not kept", links(60, `{"not":{"not":{"oneOf":[NEXT,NEXT,NEXT]}}}`, `false`), `1`, endless},
		{"doubling at each level of the value", `{"not":{"$ref":"#/$defs/s"},"$defs":{"s":{"type":"array","minItems":1,"contains":{"$ref":"#/$defs/s"},"items":{"$ref":"#/$defs/s"}}}}`, deep, endless},
		{"doubling by a dependency", links(60, `{"dependentSchemas":{"a":NEXT,"b":NEXT}}`, `true`), `{"a":1,"b":1}`, endless},
		{"doubling in an old draft", strings.Replace(links(60, `{"allOf":[NEXT,NEXT],"format":"date"}`, `true`), `"$ref":"#/$defs/0"`, `"$schema":"http://json-schema.org/draft-07/schema#","allOf":[{"$ref":"#/$defs/0"}]`, 1), `1`, endless},
		{"stack", links(4000, `NEXT`, `{"items":{"$ref":"#/$defs/0"}}`), deep, nested},
		{"stack, just allowed", links(maxInPlace-8, `NEXT`, `{"items":{"$ref":"#/$defs/0"}}`), deep, ""},
		{"itself", `{"$ref":"#"}`, `1`, itself},
		{"itself by a detour", `{"anyOf":[true,{"if":{"$ref":"#/$defs/a"}}],"$defs":{"a":{"not":{"$ref":"#"}}}}`, `1`, itself},
		{"recursive, by its items", `{"type":"array","items":{"$ref":"#"}}`, deep, ""},
		{"dynamic", `{"$dynamicAnchor":"a","items":{"$dynamicRef":"#a"}}`, `1`, "$dynamicRef and $recursiveRef are not possible"},
		{"dynamic, of a metaschema", `{"items":{"$ref":"https://json-schema.org/draft/2020-12/schema"}}`, `1`, "$dynamicRef and $recursiveRef are not possible"},
		{"many schemas", `{"allOf":[` + list(`true`, 200_000) + `]}`, `1`, many},
		{"many for each item", `{"items":{"allOf":[` + list(`{"type":"number"}`, 200) + `]}}`, `[` + list("1", 20_000) + `]`, endless},
		{"many mistakes", `{"allOf":[` + list(`{"items":{"type":"string"}}`, 200) + `]}`, `[` + list("1", 5_000) + `]`, "it is not valid, and too large for its mistakes to be listed"},
		{"deep mistakes", `{"$ref":"#/$defs/s","$defs":{"s":{"type":"array","items":{"$ref":"#/$defs/s"}}}}`, strings.Repeat("[", 120) + list("1", 20_000) + strings.Repeat("]", 120), "it is not valid, and too large"},
		{"large enum", `{"items":{"enum":[` + list(`1e308`, 5_000) + `,2]}}`, `[` + list("3", 20_000) + `]`, endless},
		{"large const", `{"items":{"const":[` + list(`1`, 5_000) + `]}}`, `[` + list(`[`+list("1", 100)+`]`, 1_000) + `]`, endless},
		{"unique at each level", `{"$ref":"#/$defs/s","$defs":{"s":{"uniqueItems":true,"items":{"$ref":"#/$defs/s"}}}}`, strings.Repeat("[", 120) + list("1e308", 5_000) + strings.Repeat("]", 120), endless},
		{"fractions", `{"items":{"multipleOf":1.2345678901234567e-300}}`, `[` + list("1e308", 20_000) + `]`, endless},
		{"large pattern", `{"pattern":"` + strings.Repeat("a{1000}", 150) + `"}`, `1`, regexps},
		{"large patterns", `{"allOf":[` + numbered(`{"pattern":"%d{1000}"}`, 2000) + `]}`, `1`, regexps},
		{"large patterns of names", `{"patternProperties":{` + numbered(`"%d{1000}":true`, 2000) + `}}`, `1`, regexps},
		{"slow pattern", `{"pattern":"` + strings.Repeat(`(a?){1000}`, 10) + `b"}`, `"` + long + `"`, endless},
		{"slow pattern of names", `{"patternProperties":{"` + strings.Repeat(`(a?){1000}`, 10) + `b":true}}`, `{"` + long + `":1}`, endless},
		{"slow pattern of all names", `{"propertyNames":{"pattern":"` + strings.Repeat(`(a?){1000}`, 10) + `b"}}`, `{"` + long + `":1}`, endless},

		// What people may well send.
		{"long list", `{"items":{"type":"integer","minimum":0}}`, `[` + list("1", 30_000) + `]`, ""},
		{"long list of objects", `{"items":{"$ref":"#/$defs/o"},"$defs":{"o":{"type":"object","required":["a"],"properties":{"a":{"type":"string","pattern":"^x+$"},"b":{"enum":["y","z"]}},"additionalProperties":false}}}`, `[` + list(`{"a":"xxx","b":"z"}`, 2_000) + `]`, ""},
		{"long text", `{"type":"string","pattern":"^[a-z]+$","maxLength":1000000}`, `"` + long + `"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := ""
			if s, err := Compile(parse(t, c.schema)); err != nil {
				said = err.Error()
			} else {
				s.steps /= testFraction
				said = strings.Join(s.Validate(parse(t, c.value)), "; ")
			}
			if (said == "") != (c.want == "") || !strings.Contains(said, c.want) || len(said) > 1<<14 {
				t.Errorf("got %.300q, want %q", said, c.want)
			}
		})
	}
}

// TestUseAfterAnAttack validates again, and at once: what one evaluation took is not missing in another.
func TestUseAfterAnAttack(t *testing.T) {
	s, err := Compile(parse(t, links(60, `{"prefixItems":[NEXT],"anyOf":[NEXT,NEXT]}`, `true`)))
	if err != nil {
		t.Fatal(err)
	}
	s.steps /= testFraction
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 3 {
				if got := s.Validate(parse(t, `1`)); len(got) != 0 && got[0] != errNoEnd.Error() {
					t.Errorf("got %q", got)
				}
			}
		})
	}
}

// TestCompileSays what is wrong with a schema in words for whoever wrote it.
func TestCompileSays(t *testing.T) {
	for schema, want := range map[string]string{
		`1`:                                    `1 is not of type "boolean" or "object"`,
		`{"type":"text"}`:                      `"text" is not one of the 7 allowed values at "type"`,
		`{"required":"a"}`:                     `"a" is not of type "array" at "required"`,
		`{"pattern":"("}`:                      `"(" is not a valid regex: error parsing regexp: missing closing ): ` + "`(`" + ` at "pattern"`,
		`{"$ref":"#/$defs/none"}`:              `reference "#/$defs/none" leads nowhere`,
		`{"$ref":"#none"}`:                     `reference "#none" leads nowhere`,
		`{"$ref":"file:///etc/passwd"}`:        `reference to "file:///etc/passwd": only references inside the schema are possible`,
		`{"$schema":"http://x/y"}`:             `reference to "http://x/y": only references inside the schema are possible`,
		`{"$ref":"#/type","type":"null"}`:      `reference "#/type" leads to what is no schema: "null" is not of type "boolean" or "object"`,
		`{"properties":{"a":{"minimum":"x"}}}`: `"x" is not of type "number" at "properties.a.minimum"`,
		`{"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}`: `duplicate anchor "x"`,
	} {
		_, err := Compile(parse(t, schema))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), location) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %s", schema, err, want)
		}
	}
}
