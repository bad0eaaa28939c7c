package canonical_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// sample has a field in each column of contract §0.3, and its names are out of order.
type sample struct {
	Zed       string           `member:"zed"`
	Any       canonical.Value  `member:"any"`
	Flag      bool             `member:"flag"`
	Count     uint64           `member:"count"`
	Delta     int64            `member:"delta"`
	Raw       []byte           `member:"raw"`
	Inner     *inner           `member:"inner"`
	Nullable  *canonical.Value `member:"nullable" presence:"O"`
	Omitted   *inner           `member:"omitted" presence:"OS"`
	Colour    colour           `member:"colour" presence:"D=red"`
	List      []inner          `member:"list" presence:"DE"`
	ByName    map[string]inner `member:"by_name"`
	Shape     shape            `member:"shape"`
	ID        id               `member:"id"`
	Untouched int
}

type inner struct {
	N uint64 `member:"n"`
}

type colour string

func (colour) Names() []string { return []string{"red", "blue"} }

type id uint64

func (id) NonZero() {}

type shapeKind string

func (shapeKind) Names() []string { return []string{"dot", "line", "both"} }

type shape struct {
	Kind shapeKind `member:"kind"`
	At   string    `member:"value" variant:"dot"`
	Len  uint64    `member:"value" variant:"line"`
	Note *string   `member:"note" variant:"line,both" presence:"O"`
}

const leastSample = `{"zed":"z","any":null,"flag":true,"count":0,"delta":-1,"raw":[0,255],"inner":{"n":1},"nullable":null,"colour":"red","by_name":{},"shape":{"kind":"dot","value":"v"},"id":1}`

func decodeSample(t *testing.T, document string) (sample, error) {
	t.Helper()
	var s sample
	err := canonical.Decode(mustParse(t, document), &s)
	return s, err
}

// What is absent, null or empty comes out as contract §0.3 says.
func TestPresence(t *testing.T) {
	for name, input := range map[string]string{
		"optionals absent": strings.NewReplacer(`"nullable":null,`, "", `"colour":"red",`, "").Replace(leastSample),
		"optionals null":   strings.Replace(leastSample, `"nullable":null`, `"nullable":null,"omitted":null`, 1),
		"list empty":       strings.Replace(leastSample, `"colour"`, `"list":[],"colour"`, 1),
		"unknown members":  strings.NewReplacer(`{"zed"`, `{"Zed":1,"ZED":2,"x":{},"zed"`, `"n":1`, `"n":1,"N":2`, `"kind":"dot"`, `"note":5,"kind":"dot"`).Replace(leastSample),
		"last wins":        strings.Replace(leastSample, `{"zed":"z"`, `{"zed":7,"zed":"z"`, 1),
		"tag last":         strings.Replace(leastSample, `"kind":"dot","value":"v"`, `"value":"v","kind":"dot"`, 1),
	} {
		s, err := decodeSample(t, input)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, name, string(canonical.Append(nil, s, canonical.Declared)), leastSample)
	}
	s, err := decodeSample(t, leastSample)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "canonical", string(canonical.Append(nil, s, canonical.Canonical)),
		`{"any":null,"by_name":{},"colour":"red","count":0,"delta":-1,"flag":true,"id":1,"inner":{"n":1},"nullable":null,"raw":[0,255],"shape":{"kind":"dot","value":"v"},"zed":"z"}`)
	same(t, "nil lists and maps", string(canonical.Append(nil, sample{Shape: shape{Kind: "both"}, ID: 1}, canonical.Declared)),
		`{"zed":"","any":null,"flag":false,"count":0,"delta":0,"raw":[],"inner":null,"nullable":null,"colour":"","by_name":{},"shape":{"kind":"both","note":null},"id":1}`)
}

func TestPresenceOfWhatIsThere(t *testing.T) {
	full := strings.NewReplacer(`"nullable":null,"colour":"red"`, `"nullable":1.0,"omitted":{"n":2},"colour":"blue","list":[{"n":3},{"n":18446744073709551615}]`,
		`"by_name":{}`, `"by_name":{"a!":{"n":5},"a":{"n":4}}`, `{"kind":"dot","value":"v"}`, `{"kind":"line","value":6,"note":"é"}`).Replace(leastSample)
	s, err := decodeSample(t, full)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "declared", string(canonical.Append(nil, s, canonical.Declared)), full)
	same(t, "pointer", string(canonical.Append(nil, &s, canonical.Declared)), full)
	same(t, "list", string(canonical.Append(nil, []sample{s}, canonical.Declared)), "["+full+"]")
	if s.Untouched != 0 || s.Nullable.Kind() != canonical.Float {
		t.Errorf("decoded as %+v", s)
	}
}

// Every refusal names the member and says what was expected; nothing is lenient (contract §0.4).
func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, path, message string }{
		{leastSample, `[]`, "", "invalid type: sequence, expected a map"},
		{leastSample, `null`, "", "invalid type: null, expected a map"},
		{leastSample, `["z",null,true,0,-1,[],{"n":1},null,null,"red",[],{},["dot","v"],1]`, "", "invalid type: sequence"},
		{`"zed":"z",`, ``, "", "missing field `zed`"},
		{`"zed":"z"`, `"Zed":"z"`, "", "missing field `zed`"},
		{`"any":null,`, ``, "", "missing field `any`"},
		{`"id":1`, `"x":1`, "", "missing field `id`"},
		{`"zed":"z"`, `"zed":null`, "zed", "invalid type: null, expected a string"},
		{`"zed":"z"`, `"zed":1`, "zed", "invalid type: integer `1`, expected a string"},
		{`"flag":true`, `"flag":"true"`, "flag", `invalid type: string "true", expected a boolean`},
		{`"flag":true`, `"flag":null`, "flag", "invalid type: null, expected a boolean"},
		{`"count":0`, `"count":1.0`, "count", "invalid type: floating point `1.0`, expected u64"},
		{`"count":0`, `"count":1e3`, "count", "invalid type: floating point `1000.0`, expected u64"},
		{`"count":0`, `"count":-0`, "count", "invalid type: floating point `-0.0`, expected u64"},
		{`"count":0`, `"count":-1`, "count", "invalid value: integer `-1`, expected u64"},
		{`"count":0`, `"count":"1"`, "count", `invalid type: string "1", expected u64`},
		{`"count":0`, `"count":18446744073709551616`, "count", "invalid type: floating point `1.8446744073709552e+19`, expected u64"},
		{`"delta":-1`, `"delta":9223372036854775808`, "delta", "invalid value: integer `9223372036854775808`, expected i64"},
		{`"delta":-1`, `"delta":-9223372036854775809`, "delta", "invalid type: floating point `-9.223372036854776e+18`, expected i64"},
		{`[0,255]`, `[0,256]`, "raw[1]", "invalid value: integer `256`, expected u8"},
		{`[0,255]`, `[-1]`, "raw[0]", "invalid value: integer `-1`, expected u8"},
		{`[0,255]`, `[1.0]`, "raw[0]", "invalid type: floating point `1.0`, expected u8"},
		{`[0,255]`, `"AP8="`, "raw", `invalid type: string "AP8=", expected a sequence`},
		{`[0,255]`, `null`, "raw", "invalid type: null, expected a sequence"},
		{`"inner":{"n":1}`, `"inner":null`, "inner", "invalid type: null, expected a value"},
		{`"inner":{"n":1}`, `"inner":{}`, "inner", "missing field `n`"},
		{`"inner":{"n":1}`, `"inner":[1]`, "inner", "invalid type: sequence, expected a map"},
		{`"nullable":null`, `"omitted":{"n":null}`, "omitted.n", "invalid type: null, expected u64"},
		{`"colour":"red"`, `"colour":null`, "colour", "invalid type: null, expected a string"},
		{`"colour":"red"`, `"colour":"Red"`, "colour", "unknown variant `Red`, expected one of `red`, `blue`"},
		{`"colour":"red"`, `"colour":{"red":null}`, "colour", "invalid type: map, expected a string"},
		{`"colour"`, `"list":null,"colour"`, "list", "invalid type: null, expected a sequence"},
		{`"colour"`, `"list":[{"n":1},{"n":true}],"colour"`, "list[1].n", "invalid type: boolean `true`, expected u64"},
		{`"by_name":{}`, `"by_name":[]`, "by_name", "invalid type: sequence, expected a map"},
		{`"by_name":{}`, `"by_name":{"k":{"n":"1"}}`, "by_name.k.n", `invalid type: string "1", expected u64`},
		{`{"kind":"dot","value":"v"}`, `{"value":"v"}`, "shape", "missing field `kind`"},
		{`{"kind":"dot","value":"v"}`, `{"kind":"dot"}`, "shape", "missing field `value`"},
		{`{"kind":"dot","value":"v"}`, `{"kind":"line","value":"v"}`, "shape.value", `invalid type: string "v", expected u64`},
		{`{"kind":"dot","value":"v"}`, `{"kind":"Dot","value":"v"}`, "shape.kind", "unknown variant `Dot`"},
		{`{"kind":"dot","value":"v"}`, `["dot","v"]`, "shape", "invalid type: sequence, expected a map"},
		{`"id":1`, `"id":0`, "id", "invalid value: integer `0`, expected a nonzero u64"},
	} {
		document := strings.Replace(leastSample, c.old, c.new, 1)
		if document == leastSample {
			t.Fatalf("%s is not part of the sample", c.old)
		}
		_, err := decodeSample(t, document)
		var refusal *canonical.DecodeError
		if !errors.As(err, &refusal) {
			t.Errorf("%s: error is %v", document, err)
			continue
		}
		if refusal.Path != c.path || !strings.HasPrefix(refusal.Message, c.message) {
			t.Errorf("%s:\n got %q at %q\nwant %q at %q", document, refusal.Message, refusal.Path, c.message, c.path)
		}
		if c.path != "" && !strings.Contains(err.Error(), "`"+c.path+"`") {
			t.Errorf("text %q does not name %s", err, c.path)
		}
	}
}

// An error repeats only the beginning of what a client sent: a megabyte of text must not come back in answers and logs.
func TestDecodeErrorsAreShort(t *testing.T) {
	long := strings.Repeat("é", 1<<19)
	for _, c := range []struct{ old, new string }{
		{`"count":0`, `"count":"` + long + `"`},
		{`"colour":"red"`, `"colour":"` + long + `"`},
		{`"by_name":{}`, `"by_name":{"` + long + `":1}`},
	} {
		_, err := decodeSample(t, strings.Replace(leastSample, c.old, c.new, 1))
		if err == nil || len(err.Error()) > 400 {
			t.Errorf("%s: error has %d bytes", c.old, len(err.Error()))
		}
	}
}

// The same number is the same hash however it was written, and another kind of number is not another hash ([F-09]).
func TestHashOfStruct(t *testing.T) {
	a, _ := decodeSample(t, strings.Replace(leastSample, `"any":null`, `"any":[1.0,-0]`, 1))
	b, _ := decodeSample(t, strings.Replace(leastSample, `"any":null`, `"any":[1,0]`, 1))
	if canonical.Hash(a) != canonical.Hash(b) {
		t.Error("hashes differ")
	}
	if canonical.Hash(a) != canonical.HashBytes(canonical.Append(nil, a, canonical.Canonical)) {
		t.Error("hash is not that of the canonical form")
	}
	same(t, "no bytes", canonical.HashBytes(nil).Value, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
}
