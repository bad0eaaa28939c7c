package yaml

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

const refused = "refused"

func parsed(document string) string {
	v, err := Parse([]byte(document))
	if err != nil {
		return refused
	}
	return string(canonical.AppendValue(nil, v, canonical.Declared))
}

// TestParse covers what the recordings of the json provider do not.
func TestParse(t *testing.T) {
	for _, c := range []struct{ document, want string }{
		{"", "null"},
		{"!!str", `""`},
		{"! 5", "5"},
		{"!!binary aGk=", `"aGk="`},
		{"!!timestamp 2024-01-01", `"2024-01-01"`},
		{"!<tag:yaml.org,2002:int> 5", "5"},
		{"!!set {a, b}", `{"a":null,"b":null}`},
		{"!!seq [1]", "[1]"},
		{"!!null ~", "null"},
		{"!!null ''", refused},
		{"!!int x", refused},
		{"!!bool yes", refused},
		{"!!float 007", "7.0"},
		{"!!float .inf", "null"},
		{"!<foo> 5", refused},
		{"!foo [1]", refused},
		{"!foo {a: 1}", refused},
		{"%TAG !e! tag:e.com,2000:\n---\n!e!x 5", refused},
		{"-0b11", "-3"},
		{"+0x1f", "31"},
		{"+-5", `"+-5"`},
		{"0x", `"0x"`},
		{"-9223372036854775808", "-9223372036854775808"},
		{"0xFFFFFFFFFFFFFFFF", "18446744073709551615"},
		{"0xFFFFFFFFFFFFFFFFF", refused},
		{"340282366920938463463374607431768211455", refused},
		{"340282366920938463463374607431768211456", "3.402823669209385e+38"},
		{"-170141183460469231731687303715884105728", refused},
		{"-170141183460469231731687303715884105729", "-1.7014118346046923e+38"},
		{strings.Repeat("9", 400), `"` + strings.Repeat("9", 400) + `"`},
		{"+.5", "0.5"},
		{".", `"."`},
		{"inf", `"inf"`},
		{"NaN", `"NaN"`},
		{"0x1p4", `"0x1p4"`},
		{"a: &x 1\n*x : 2", `{"a":1,"1":2}`},
		{"? !!int 5\n: 1", `{"5":1}`},
		{": 1", `{"":1}`},
		{"&a [*a]", refused},
		{"*nope", refused},
		{"--- 1\n...\n", "1"},
		{"--- 1\n---", refused},
		{"--- 1\n... \n%garbage", refused},
		{"%YAML 1.2\n---\na", `"a"`},
		{"\ufeff# c\n\n%TAG ! !x\n%YAML 1.2\r\n---\n1", "1"},
		{"%YAML 1.1\n---\n017", `"017"`},
		{"%YAML 1.3\n---\na", refused},
		{"%YAML 2.0\n---\na", refused},
		{"a: |\n  %YAML 1.2\n", `{"a":"%YAML 1.2\n"}`},
		{`"\ud83d"`, refused},
		{"\xff", refused},
		{strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)},
		{strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), refused},
		{"a: &a " + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + "\nb: [*a]", refused},
	} {
		if got := parsed(c.document); got != c.want {
			t.Errorf("%.60q: got %.200s, want %.200s", c.document, got, c.want)
		}
	}
}

// TestBombs are small documents that are huge once their aliases are expanded.
func TestBombs(t *testing.T) {
	laughs := "a0: &a0 lol\n"
	for i := range 9 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	long := "a: &a " + strings.Repeat("x", 1<<17) + "\nb: [" + strings.Repeat("*a,", 64) + "]\n"
	keys := "a: &a " + strings.Repeat("x", 1<<17) + "\nb: [" + strings.Repeat("{*a : 1},", 64) + "]\n"
	for name, document := range map[string]string{"laughs": laughs, "long text": long, "keys": keys} {
		if got := parsed(document); got != refused {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if got := parsed("a: &a [1,2]\nb: [*a,*a]"); got != `{"a":[1,2],"b":[[1,2],[1,2]]}` {
		t.Errorf("a few aliases: %s", got)
	}
}

// TestStringsSurvive: whatever text, quoted it is that text, and plain words never change into something else.
func TestStringsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("aé😀 0x1.e+-_~:#'\"\\{}[]&*!|>%@`,?\t"))).Draw(t, "text")
		quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
		v, err := Parse([]byte("[" + quoted + "]"))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := v.Items()[0].Text(); !ok || got != text {
			t.Fatalf("got %q", got)
		}
	})
}

// TestJSONIsYAML: a document that is JSON means the same as YAML, numbers beyond 64 bits and -0 apart.
func TestJSONIsYAML(t *testing.T) {
	for _, document := range []string{`{"a":[1,-2,3.5,true,false,null,"x\n\u00e9"],"b":{"c":{}}}`, `[]`, `"5"`, `1e3`} {
		want, err := canonical.Parse([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed(document); got != string(canonical.AppendValue(nil, want, canonical.Declared)) {
			t.Errorf("%s: got %s", document, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a: &a [1]\nb: *a", "!!int '5'", "? [1]\n: 2", "%YAML 1.2\n---\n1", "|\n x", "{<<: {a: 1}}", "\xfe\xff", "&a [*a]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		// What was read is JSON: it can be written and, when it is not nested too deep for JSON, read again.
		text := canonical.AppendValue(nil, v, canonical.Declared)
		again, err := canonical.Parse(text)
		if err == nil && !canonical.Equal(v, again) {
			t.Fatalf("%s", text)
		}
		if err != nil && !strings.Contains(err.Error(), "recursion limit") {
			t.Fatalf("%v: %s", err, text)
		}
	})
}
