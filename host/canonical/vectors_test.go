package canonical_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// rows reads a file of testdata, one JSON object a line, and hands each line to check under its number.
func rows(t *testing.T, file string, check func(t *testing.T, row canonical.Value)) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		row, err := canonical.Parse(line)
		if err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		ok := t.Run("", func(t *testing.T) { check(t, row) })
		if !ok {
			t.Errorf("%s:%d: %.300s", file, n, line)
		}
	}
	if n == 0 {
		t.Fatalf("%s is empty", file)
	}
}

func text(row canonical.Value, name string) string {
	s, _ := get(row, name).Text()
	return s
}

func get(row canonical.Value, name string) canonical.Value {
	v, _ := row.Member(name)
	return v
}

func mustParse(t *testing.T, document string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(document))
	if err != nil {
		t.Fatalf("parse %.100q: %v", document, err)
	}
	return v
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %.1000q\nwant %.1000q", what, got, want)
	}
}

// Contract §8.3 to §8.5.
func TestCanonicalVectors(t *testing.T) {
	rows(t, "canonical.jsonl", func(t *testing.T, row canonical.Value) {
		v := mustParse(t, text(row, "input"))
		got := string(canonical.AppendValue(nil, v, canonical.Canonical))
		same(t, "canonical form", got, text(row, "canonical"))
		if sum := text(row, "sha256"); sum != "" {
			same(t, "hash", canonical.Hash(v).Value, sum)
			same(t, "hash of the bytes", canonical.HashBytes([]byte(got)).Value, sum)
		}
	})
}

// Contract §0.5, and the forms in which a JSON-RPC id is echoed (mcp contract §1.2).
func TestNumberKinds(t *testing.T) {
	kinds := map[string]canonical.Kind{"unsigned": canonical.Unsigned, "negative": canonical.Negative, "float": canonical.Float}
	rows(t, "numbers.jsonl", func(t *testing.T, row canonical.Value) {
		v := mustParse(t, text(row, "literal"))
		if v.Kind() != kinds[text(row, "kind")] {
			t.Errorf("kind is %d", v.Kind())
		}
		if !v.IsNumber() {
			t.Error("is no number")
		}
		declared := string(canonical.AppendValue(nil, v, canonical.Declared))
		same(t, "declared", declared, text(row, "declared"))
		same(t, "canonical", string(canonical.AppendValue(nil, v, canonical.Canonical)), text(row, "canonical"))
		if again := mustParse(t, declared); again.Kind() != v.Kind() || !canonical.Equal(again, v) {
			t.Errorf("%s reads back as another number", declared)
		}
	})
}

// Contract §0.4: rows with an error are refused with that text in theirs, the others are written as declared.
func TestSyntax(t *testing.T) {
	rows(t, "syntax.jsonl", func(t *testing.T, row canonical.Value) {
		document := []byte(text(row, "document"))
		if raw := text(row, "hex"); raw != "" {
			document, _ = hex.DecodeString(raw)
		}
		v, err := canonical.Parse(document)
		want := text(row, "error")
		if want == "" {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "document", string(canonical.AppendValue(nil, v, canonical.Declared)), text(row, "declared"))
			return
		}
		var syntax *canonical.SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Fatalf("error is %v", err)
		}
		if syntax.Line < 1 || syntax.Column < 0 {
			t.Errorf("position %d:%d", syntax.Line, syntax.Column)
		}
		if !v.IsNull() {
			t.Error("a value comes with the error")
		}
	})
}

// Contract §8.6: what is refused says what had been written and the chunk that did not fit.
func TestSizeLimits(t *testing.T) {
	rows(t, "limits.jsonl", func(t *testing.T, row canonical.Value) {
		v := get(row, "value")
		if n, ok := get(row, "repeat").Int(); ok {
			v = canonical.NewString(strings.Repeat("x", int(n)))
		}
		limit, _ := get(row, "limit").Int()
		out, err := canonical.AppendLimited([]byte("before"), v, int(limit))
		actual, refused := get(row, "actual").Int()
		if !refused {
			if err != nil {
				t.Fatal(err)
			}
			same(t, "output", string(out), "before"+string(canonical.AppendValue(nil, v, canonical.Canonical)))
			return
		}
		var size *canonical.SizeError
		if !errors.As(err, &size) {
			t.Fatalf("error is %v", err)
		}
		if size.Actual != int(actual) || size.Limit != int(limit) {
			t.Errorf("%v, want %d > %d", err, actual, limit)
		}
		if len(out) > len("before")+int(limit) {
			t.Errorf("%d bytes written past the limit", len(out)-len("before")-int(limit))
		}
		if !strings.HasPrefix(err.Error(), "canonical json exceeds size limit (") {
			t.Errorf("text %q", err)
		}
	})
}

// An attacker's document may be as long as a body: digits, brackets, escapes and members by the million must neither
// overflow the stack nor take more than one pass.
func TestHostileSizes(t *testing.T) {
	const many = 1_000_000
	refused := map[string]string{
		"brackets":       strings.Repeat("[", many),
		"objects":        strings.Repeat(`{"":`, many),
		"big integer":    strings.Repeat("9", many),
		"big exponent":   "1e" + strings.Repeat("9", many),
		"open string":    `"` + strings.Repeat("a", many),
		"open escapes":   `"` + strings.Repeat(`\n`, many),
		"commas":         "[" + strings.Repeat(",", many),
		"spaces":         strings.Repeat(" ", many),
		"newlines":       strings.Repeat("\n", many) + "x",
		"closed too far": "[]" + strings.Repeat("]", many),
	}
	for name, document := range refused {
		if _, err := canonical.Parse([]byte(document)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	accepted := map[string]struct{ document, canonical string }{
		"digits of a fraction": {"0." + strings.Repeat("3", many), "0.3333333333333333"},
		"zeros of a fraction":  {"1." + strings.Repeat("0", many), "1"},
		"tiny":                 {"0." + strings.Repeat("0", many) + "1", "0"},
		"tiny by exponent":     {"1e-" + strings.Repeat("9", many), "0"},
		"zero by exponent":     {"0e" + strings.Repeat("9", many), "0"},
		"escapes":              {`"` + strings.Repeat(`\u0061`, many) + `"`, `"` + strings.Repeat("a", many) + `"`},
	}
	for name, c := range accepted {
		v := mustParse(t, c.document)
		if got := string(canonical.AppendValue(nil, v, canonical.Canonical)); got != c.canonical {
			t.Errorf("%s: %.40s", name, got)
		}
	}
	// The same name again and again: the last value at the first place, found by an index and not by scanning.
	v := mustParse(t, `{"z":0`+strings.Repeat(`,"a":1,"b":2`, many/10)+`,"a":9}`)
	same(t, "duplicates", string(canonical.AppendValue(nil, v, canonical.Declared)), `{"z":0,"a":9,"b":2}`)
}

func TestPositions(t *testing.T) {
	_, err := canonical.Parse([]byte("{\n  \"a\": tru\n}"))
	same(t, "error", err.Error(), "expected value at line 2 column 8")
}

func TestP01ExactIntegersAndEncodedKeyOrder(t *testing.T) {
	// RFC 8785 would write 9007199254740992 and 18446744073709552000, and sort "a" before "a!" and "\n" first.
	v := mustParse(t, `{"a!":9007199254740993,"a":18446744073709551615,"b":-9223372036854775807,"\n":0}`)
	same(t, "canonical", string(canonical.AppendValue(nil, v, canonical.Canonical)), `{"\n":0,"a!":9007199254740993,"a":18446744073709551615,"b":-9223372036854775807}`)
}
