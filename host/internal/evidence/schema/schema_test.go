package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

func parse(t testing.TB, text string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`{}`, `{"any":[1]}`, ""},
		{`true`, `1`, ""},
		{`false`, `1`, "false schema"},
		{`{"type":"integer"}`, `9007199254740993`, ""},
		{`{"type":"integer"}`, `1.0`, ""},
		{`{"type":"integer"}`, `1.5`, `1.5 is not of type "integer"`},
		{`{"type":["string","null"]}`, `1`, `1 is not of type "null" or "string"`},
		{`{"maximum":9007199254740992}`, `9007199254740993`, "maximum"},
		{`{"multipleOf":0.01}`, `0.07`, ""},
		{`{"multipleOf":0.01}`, `1e308`, ""},
		{`{"enum":["a","b"]}`, `"c"`, `"c" is not one of the 2 allowed values`},
		{`{"oneOf":[{"type":"integer"},{"minimum":0}]}`, `1`, `1 is valid under more than one of the schemas listed in the 'oneOf' keyword`},
		{`{"anyOf":[{"type":"integer"},{"type":"string"}]}`, `null`, `null is not valid under any of the schemas listed in the 'anyOf' keyword`},
		{`{"required":["a","b"],"properties":{"c":{"type":"string"}},"additionalProperties":false}`, `{"c":1,"z":2}`,
			`"a" is a required property; "b" is a required property; Additional properties are not allowed ('z' was unexpected); 1 is not of type "string" at "c"`},
		{`{"items":{"$ref":"#/$defs/n"},"$defs":{"n":{"type":"number"}}}`, `[1,"x"]`, `"x" is not of type "number" at "1"`},
		{`{"type":"integer"}`, `"` + strings.Repeat("é", 300) + `"`, `… is not of type "integer"`},
		// Formats say what a value is about, they do not refuse it.
		{`{"format":"date-time"}`, `"no date"`, ""},
	} {
		s, err := Compile(parse(t, c.schema))
		if err != nil {
			t.Fatalf("%s: %v", c.schema, err)
		}
		got := strings.Join(s.Validate(parse(t, c.value)), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %.60s: got %q, want %q", c.schema, c.value, got, c.want)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	s, err := Compile(parse(t, `{"items":{"type":"string"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Validate(parse(t, "["+strings.Repeat("1,", 1000)+"1]")); len(got) != maxProblems {
		t.Errorf("%d problems", len(got))
	}
}

func TestCompileRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.json")
	if err := os.WriteFile(secret, []byte(`{"type":"string"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"number": `1`, "unknown type": `{"type":"text"}`, "wrong keyword": `{"required":"a"}`, "bad pattern": `{"pattern":"("}`, "missing definition": `{"$ref":"#/$defs/none"}`,
		// A schema of somebody else must not read this machine's files or ask its network.
		"file":    `{"$ref":"file://` + secret + `"}`,
		"address": `{"$ref":"http://169.254.169.254/schema.json"}`,
		"large":   `{"description":"` + strings.Repeat("x", MaxSize) + `"}`,
	} {
		if _, err := Compile(parse(t, text)); err == nil {
			t.Errorf("%s: compiled", name)
		}
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"integer","multipleOf":1e-300}`, `1e300`)
	f.Add(`{"$ref":"#"}`, `1`)
	f.Add(`{"minimum":-1e308}`, `-1e308`)
	f.Add(`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{}}}}`, `{}`)
	f.Fuzz(func(t *testing.T, document, value string) {
		d, err := canonical.Parse([]byte(document))
		if err != nil {
			return
		}
		v, err := canonical.Parse([]byte(value))
		if err != nil {
			return
		}
		if s, err := Compile(d); err == nil {
			s.Validate(v)
		}
	})
}
