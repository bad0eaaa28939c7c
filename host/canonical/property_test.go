package canonical_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// drawValue draws any value, numbers near the borders of their kinds and strings with everything that is escaped.
func drawValue(t *rapid.T, depth int) canonical.Value {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return canonical.Value{}
	case 1:
		return canonical.NewBool(rapid.Bool().Draw(t, "bool"))
	case 2, 3:
		return drawNumber(t)
	case 4:
		return canonical.NewString(drawText(t))
	case 5:
		n := rapid.IntRange(0, 4).Draw(t, "items")
		items := make([]canonical.Value, n)
		for i := range items {
			items[i] = drawValue(t, depth-1)
		}
		return canonical.NewArray(items)
	default:
		// More than an object's size from which names are indexed, and few names, so that both ways of dropping duplicates are met.
		n := rapid.IntRange(0, 16).Draw(t, "members")
		members := make([]canonical.Member, n)
		for i := range members {
			members[i] = canonical.Member{Name: drawText(t), Value: drawValue(t, depth-1)}
		}
		return canonical.NewObject(members)
	}
}

func drawText(t *rapid.T) string {
	pieces := []string{"", "a", "b", "!", " ", "#", "[", "]", "\t", "\v", `"`, `\`, "\n", "\x00", "\x1f", "\x7f", "\u0080", "é", "\u2028", "\ufb33", "\ufffd", "\U0001f600"}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 3).Draw(t, "text"), "")
}

func drawNumber(t *rapid.T) canonical.Value {
	switch rapid.IntRange(0, 3).Draw(t, "number") {
	case 0:
		return canonical.NewUint(rapid.Uint64().Draw(t, "uint"))
	case 1:
		return canonical.NewInt(rapid.Int64().Draw(t, "int"))
	case 2:
		return canonical.NewFloat(float64(rapid.IntRange(-1000, 1000).Draw(t, "small")) / 8)
	default:
		return canonical.NewFloat(math.Float64frombits(rapid.Uint64().Draw(t, "bits")))
	}
}

// What is written in declared order reads back as the same value, kinds of numbers and order of members included.
func TestDeclaredReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t, 4)
		written := canonical.AppendValue(nil, v, canonical.Declared)
		again, err := canonical.Parse(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if !canonical.Equal(v, again) {
			t.Fatalf("%s is not equal", written)
		}
		if second := canonical.AppendValue(nil, again, canonical.Declared); !bytes.Equal(written, second) {
			t.Fatalf("%s is written again as %s", written, second)
		}
	})
}

// The canonical form is canonical: it reads back to what has the same canonical form, in whatever order members came, and
// the limited writer writes the same.
func TestCanonicalIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t, 4)
		written := canonical.AppendValue(nil, v, canonical.Canonical)
		again, err := canonical.Parse(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if second := canonical.AppendValue(nil, again, canonical.Canonical); !bytes.Equal(written, second) {
			t.Fatalf("%s is written again as %s", written, second)
		}
		if third := canonical.AppendValue(nil, reversed(v), canonical.Canonical); !bytes.Equal(written, third) {
			t.Fatalf("%s is written from another order as %s", written, third)
		}
		limited, err := canonical.AppendLimited(nil, v, len(written))
		if err != nil || !bytes.Equal(written, limited) {
			t.Fatalf("%s is written within its size as %s, %v", written, limited, err)
		}
		if len(written) > 0 {
			if _, err := canonical.AppendLimited(nil, v, len(written)-1); err == nil {
				t.Fatalf("%s fits into less than its size", written)
			}
		}
	})
}

// Members come in the order of their encoded names, whatever is escaped in them ([P-01]).
func TestCanonicalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.Custom(drawText), 0, 20).Draw(t, "names")
		members := make([]canonical.Member, len(names))
		encoded := make([]string, len(names))
		for i, name := range names {
			members[i].Name = name
			encoded[i] = string(canonical.AppendString(nil, name)) + ":null"
		}
		slices.Sort(encoded)
		want := "{" + strings.Join(slices.Compact(encoded), ",") + "}"
		if got := string(canonical.AppendValue(nil, canonical.NewObject(members), canonical.Canonical)); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// reversed is the value with the members of all its objects in the opposite order.
func reversed(v canonical.Value) canonical.Value {
	switch v.Kind() {
	case canonical.Array:
		items := make([]canonical.Value, len(v.Items()))
		for i, item := range v.Items() {
			items[i] = reversed(item)
		}
		return canonical.NewArray(items)
	case canonical.Object:
		var members []canonical.Member
		for _, m := range v.Members() {
			members = append([]canonical.Member{{Name: m.Name, Value: reversed(m.Value)}}, members...)
		}
		return canonical.NewObject(members)
	default:
		return v
	}
}

// Equality does not see the order of members, is symmetric, and sees every other difference that the kind-preserving form sees.
func TestEqual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawValue(t, 3), drawValue(t, 3)
		if !canonical.Equal(a, reversed(a)) {
			t.Fatal("order of members matters")
		}
		if canonical.Equal(a, b) != canonical.Equal(b, a) {
			t.Fatal("not symmetric")
		}
		if canonical.Equal(a, b) != (canonical.Identity(a) == canonical.Identity(b)) || canonical.Identity(a) != canonical.Identity(reversed(a)) {
			t.Fatal("identity is not equality")
		}
		if canonical.Equal(a, b) && string(canonical.AppendValue(nil, a, canonical.Canonical)) != string(canonical.AppendValue(nil, b, canonical.Canonical)) {
			t.Fatal("equal values have different hashes")
		}
	})
}

func TestEqualTable(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"1", "1", true}, {"1", "1.0", false}, {"1.0", "1e0", true}, {"0", "-0", false}, {"0.0", "-0", true}, {"0.0", "-0.0", true},
		{"18446744073709551616", "18446744073709551617", true}, {"-1", "-1.0", false}, {"18446744073709551615", "-1", false},
		{"null", "null", true}, {"null", "false", false}, {"true", "1", false}, {`"1"`, "1", false}, {`"é"`, `"e\u0301"`, false},
		{"[]", "{}", false}, {"[]", "[]", true}, {"{}", "{}", true}, {"[1,2]", "[2,1]", false}, {"[1]", "[1,1]", false}, {"[1]", "[1.0]", false},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, true}, {`{"a":1}`, `{"a":1.0}`, false}, {`{"a":1}`, `{"b":1}`, false}, {`{"a":null}`, `{}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{many(20, 0), many(20, 7), true}, {many(20, 0), many(21, 0), false}, {many(20, 0), strings.Replace(many(20, 0), ":13", ":13.0", 1), false},
		{many(20, 0), strings.Replace(many(20, 0), "k13", "x13", 1), false},
	} {
		a, b := mustParse(t, c.a), mustParse(t, c.b)
		if canonical.Equal(a, b) != c.equal || (canonical.Identity(a) == canonical.Identity(b)) != c.equal {
			t.Errorf("%s and %s: want equal %t", c.a, c.b, c.equal)
		}
	}
}

// many is an object of n members, beginning with the one at shift.
func many(n, shift int) string {
	var b strings.Builder
	for i := range n {
		k := strconv.Itoa((i + shift) % n)
		b.WriteString(`,"k` + k + `":` + k)
	}
	return "{" + b.String()[1:] + "}"
}

// A hundred thousand floats against a second layout of strconv's shortest digits, written from ECMAScript's Number::toString.
func TestFloatsAgainstStrconv(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		f := math.Float64frombits(random.Uint64())
		if random.IntN(2) == 0 {
			// Numbers near the borders between the layouts.
			f = float64(random.Int64N(1e18)) * math.Pow10(random.IntN(30)-25)
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		v := canonical.NewFloat(f)
		if got, want := string(canonical.AppendValue(nil, v, canonical.Canonical)), ecmaScript(f); got != want {
			t.Fatalf("%b: canonical %s, want %s", f, got, want)
		}
		again := mustParse(t, string(canonical.AppendValue(nil, v, canonical.Declared)))
		if g, _ := again.Float(); again.Kind() != canonical.Float || math.Float64bits(g) != math.Float64bits(f) {
			t.Fatalf("%b: declared reads back as %b", f, g)
		}
	}
}

func ecmaScript(f float64) string {
	if f == 0 {
		return "0"
	}
	magnitude := math.Abs(f)
	sign := ""
	if f < 0 {
		sign = "-"
	}
	if magnitude >= 1e-6 && magnitude < 1e21 {
		return sign + strconv.FormatFloat(magnitude, 'f', -1, 64)
	}
	s := strconv.FormatFloat(magnitude, 'e', -1, 64)
	s = strings.Replace(strings.Replace(s, "e-0", "e-", 1), "e+0", "e+", 1)
	return sign + s
}

// Decimal comparison against exact rationals (contract §4.5).
func TestCompareDecimalAgainstRat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNumber(t), drawNumber(t)
		if a.IsNull() || b.IsNull() {
			return // a NaN was drawn, for which there is no number
		}
		if rapid.Bool().Draw(t, "near") {
			b = near(a)
		}
		want := rational(t, a).Cmp(rational(t, b))
		if got := canonical.CompareDecimal(a, b); sign(got) != want {
			t.Fatalf("%s and %s: %d, want %d", literal(a), literal(b), got, want)
		}
		if got := canonical.CompareDecimal(b, a); sign(got) != -want {
			t.Fatalf("%s and %s the other way: %d, want %d", literal(a), literal(b), got, -want)
		}
	})
}

// near is the float that is nearest to a number: equal, or off by its rounding.
func near(v canonical.Value) canonical.Value {
	f, _ := v.Float()
	return canonical.NewFloat(f)
}

func literal(v canonical.Value) string {
	return string(canonical.AppendValue(nil, v, canonical.Declared))
}

// rational is the value of the shortest literal of a number.
func rational(t *rapid.T, v canonical.Value) *big.Rat {
	r, ok := new(big.Rat).SetString(literal(v))
	if !ok {
		t.Fatalf("%s is no number", literal(v))
	}
	return r
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	default:
		return 0
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2,3.5e-7,true,null,"\ud83d\ude00"],"a":{}}`, `[[[[]]]]`, `-0`, `18446744073709551616`, "\"\xff\"", `"\ud800"`, `1e400`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := canonical.Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q is no JSON, and was accepted", data)
		}
		written := canonical.AppendValue(nil, v, canonical.Declared)
		again, err := canonical.Parse(written)
		if err != nil || !canonical.Equal(v, again) {
			t.Fatalf("%q is written as %q: %v", data, written, err)
		}
		hashed := canonical.AppendValue(nil, v, canonical.Canonical)
		if c, err := canonical.Parse(hashed); err != nil || !bytes.Equal(canonical.AppendValue(nil, c, canonical.Canonical), hashed) {
			t.Fatalf("%q is hashed as %q: %v", data, hashed, err)
		}
	})
}
