package jsonpath

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

const store = `{"items":[10,20,30,40,50],"a":{"b":null,"z":2,"y":3},"z":1,
"objs":[{"id":1,"v":{"w":5}},{"id":2},{"id":1}],"nested":[[1,2],[3,[4,5]]],
"k-1":9,"é":"acc","0":"zero","it's":"quoted","$d":"dollar","":"empty name","bike":{"p":5,"c":"red"},
"twins":[{"n":1,"v":{"w":5}},{"n":2,"v":{"w":5}},{"n":3,"v":{"w":6}},{"n":4,"v":[{"w":5}]}],
"deep":[[{"id":7}],{"id":8}],"words":[{"s":"a"},{"s":"b"},{"s":7},{"s":true},{"s":null}],"e":[]}`

func parse(t testing.TB, text string) *canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &v
}

// selected is the matches as a JSON array, or the error.
func selected(document *canonical.Value, expression string) string {
	path, err := Compile(expression)
	if err != nil {
		return "invalid"
	}
	matches, err := path.Select(context.Background(), document)
	if err != nil {
		return err.Error()
	}
	items := make([]canonical.Value, len(matches))
	for i, m := range matches {
		items[i] = *m
	}
	return string(canonical.AppendValue(nil, canonical.NewArray(items), canonical.Declared))
}

// TestSelect covers what the recordings of the json provider do not.
func TestSelect(t *testing.T) {
	document := parse(t, store)
	for _, c := range []struct{ path, want string }{
		{"$.a.b", "[null]"},
		{"$.missing", "[]"},
		{"$.items[5]", "[]"},
		{"$.items[-1]", "[50]"},
		{"$.items[-6]", "[10]"},
		{"$.items[+1]", "[20]"},
		{"$.items[007]", "[]"},
		{"$.e[-1]", "[]"},
		{"$.items[1,99]", "[20]"},
		{"$.items[-1,0]", "[50,10]"},
		{"$.items[1,1]", "[20,20]"},
		{"$.items[0, 1]", "[10,20]"},
		{"$.items[0 , 1]", "[10,20]"},
		{"$.items[0,1 ,2]", "invalid"},
		{"$.items[-2:-1]", "[40]"},
		{"$.items[3:1]", "[]"},
		{"$.items[1::2]", "[20,40]"},
		{"$.items[:3:2]", "[10,30]"},
		{"$.items[ 1 : 3 : 1 ]", "[20,30]"},
		{"$.items[:]", "[10,20,30,40,50]"},
		{"$.items[::]", "[10,20,30,40,50]"},
		{"$.items[0:9223372036854775807:9223372036854775807]", "[10]"},
		{"$.a['y','z']", "[3,2]"},
		{"$.a['y','q']", "[3]"},
		{"$.a['y', 'z' , 'b']", "[3,2,null]"},
		{"$.a.*", "[null,2,3]"},
		{"$..z", "[1,2]"},
		{"$..['z']", "[1,2]"},
		{"$..['z','items']", "[1,[10,20,30,40,50]]"},
		{"$.nested..[0]", "[[1,2],1,3,4]"},
		{"$.nested..[-1]", "[[1,2],1,3,4]"},
		{"$.nested[*][0]", "[1,3]"},
		{"$.a..*", "[null,2,3]"},
		{"$.a..[*]", "[null,2,3]"},
		{"$['']", `["empty name"]`},
		{`$['it\'s']`, `["quoted"]`},
		{`$["it's"]`, `["quoted"]`},
		{"$.$d", `["dollar"]`},
		{"$.k-1", "[9]"},
		{"$.é", `["acc"]`},
		{"$.[0]", `[10,{"id":1,"v":{"w":5}},[1,2],{"n":1,"v":{"w":5}},[{"id":7}],{"s":"a"}]`},
		{"$.[ 0]", "invalid"},
		{"$[ 'z' ]", "[1]"},
		{"$.objs.id", "[]"},
		{"$.objs[?(@.id==1)].id", "[1,1]"},
		{"$.objs[?(1==@.id)].id", "[1,1]"},
		{"$.objs[?( ( @.id == 1 ) )].id", "[1,1]"},
		{"$.objs[?(@['id']==2)]", `[{"id":2}]`},
		{"$.objs[?(@.id!=1)]", `[{"id":2}]`},
		{"$.objs[?(@.id>1)]", `[{"id":2}]`},
		{"$.objs[?(1<@.id)]", `[{"id":2}]`},
		{"$.objs[?(@.id>=2.0e0)]", `[{"id":2}]`},
		{"$.objs[?(@.id==$.z)].id", "[1,1]"},
		{"$.objs[?(@.id==$.items)].id", "[]"},
		{"$.objs[?(@.id!=$.a.b)].id", "[]"},
		{"$.objs[?(@.id!=$.items[*])].id", "[]"},
		{"$.objs[?(@.v)].id", "[1]"},
		{"$.objs[?(@.v.w)].id", "[1]"},
		{"$.objs[?(@.v.w==5)].id", "[1]"},
		{"$.bike[?(@.p==5)]", `[{"p":5,"c":"red"}]`},
		{"$.a[?(@.b)]", `[{"b":null,"z":2,"y":3}]`},
		{"$.deep[?(@.id)]", `[{"id":7},{"id":8}]`},
		{"$.deep..[?(@.id)]", `[{"id":7},{"id":8}]`},
		{"$.deep[0,0][?(@.id)]", `[{"id":7}]`},
		// Equal values find each other, that in the list of the fourth included.
		{"$.twins[?(@.v.w==5)].n", "[1,1,1,2,2,2]"},
		{"$.twins[?(@.v.w>5)].n", "[3]"},
		{"$.twins[?(@.v.w)].n", "[1,2,3]"},
		{"$.words[?(@.s!='a')].s", `["b"]`},
		{"$.words[?(@.s>='a')].s", `["a","b"]`},
		{"$.words[?(@.s==TRUE)].s", "[true]"},
		{"$.words[?(@.s>false)].s", "[true]"},
		{"$.words[?(@.s!=7)].s", "[]"},
		{"$.a b", `[{"b":null,"z":2,"y":3}]`},
		{"$.z=nonsense", "[1]"},
	} {
		if got := selected(document, c.path); got != c.want {
			t.Errorf("%s: got %s, want %s", c.path, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	document := parse(t, store)
	for _, path := range []string{
		"", " $", "a", "@", "$$", "$abc", "$.", "$..", "$...a", "$[", "$[]", "$[a]", "$.'z'", "$[0,'a']", "$['a',0]", "$['a' ,'z']",
		"$.items[1.5]", "$.items[99999999999999999999]", "$['a", `$['a\'`, "$[?", "$[?(", "$[?(@.a", "$[?(@.a)", "$[?()]", "$[?@.a]",
		// A negative step is a syntax error; a step of 0 ends the process of the open-source Decision Gate ([F-07]).
		"$.items[::-1]", "$.items[::0]", "$.items[1:2:0]",
		"$.objs[?(@.id==null)]", "$.objs[?(@.id==foo)]", "$.objs[?(@)]", "$.objs[?(@ ==1)]", "$.objs[?(!@.id)]", "$.objs[?(1==1)]",
		"$.objs[?(@.a==@.b)]", "$.objs[?(@.a&&@.b)]", "$.objs[?(@.a||@.b)]", "$.objs[?(@.a.b.c)]", "$.objs[?(@.*)]", "$.objs[?(@[0])]",
		"$.objs[?(@..a)]", "$.objs[?($.a)]", "$.objs[?(@.id='1')]", "$.objs[?(@.id==1 2)]",
		"$.objs[?(@['a','b'])]", "$.objs[?(@[0,1])]", "$.objs[?(@[0:1])]", "$.objs[?(@.id=='a','b')]",
		"$.objs[?(@.id==$[0,1])]", "$.objs[?(@.id==$['a','b'])]", "$.objs[?(@.id==$[0:1])]", "$.objs[?(@.id==$.objs[?(@.id)])]",
		"$.objs[?(@.id==1e400)]", "$.objs[?(@.id==-inf)]", "$.objs[?(@.id==-nan)]", "$.objs[?(@.id==0x10)]", "$.objs[?(@.id==1_0)]", "$.objs[?(@.id==-)]",
		"$.store.book[(@.length-1)]",
		"$[?" + strings.Repeat("(", 1000) + "@.a" + strings.Repeat(")", 1000) + "]",
		"$" + strings.Repeat(".a", MaxExpression),
	} {
		if got := selected(document, path); got != "invalid" {
			t.Errorf("%s: got %s, want it refused", path, got)
		}
	}
}

// TestRunaway selects what would not end, or not fit into memory.
func TestRunaway(t *testing.T) {
	wide := parse(t, "["+strings.Repeat("[[[[[1,2,3,4],{}]]]],", 2000)+"0]")
	nested := parse(t, strings.Repeat("[", 100)+strings.Repeat("]", 100))
	for _, c := range []struct {
		document *canonical.Value
		path     string
	}{
		{nested, "$" + strings.Repeat("..*", 40)},
		{nested, "$" + strings.Repeat("..[*]", 40)},
		{wide, "$[" + strings.Repeat("0,", 900) + "0]" + strings.Repeat("[0,0,0,0,0,0,0,0,0,0]", 40)},
	} {
		path, err := Compile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := path.Select(t.Context(), c.document); !errors.Is(err, ErrLimit) {
			t.Errorf("%.40s…: got %v, want ErrLimit", c.path, err)
		}
	}
}

func TestContextEndsSelection(t *testing.T) {
	wide := parse(t, "["+strings.Repeat("[1],", 100_000)+"0]")
	path, err := Compile("$..*..*")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := path.Select(ctx, wide); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRecursionIsPreorder checks `..*` against its definition on any document.
func TestRecursionIsPreorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		document := values(3).Draw(t, "document")
		var want []canonical.Value
		var walk func(v canonical.Value)
		walk = func(v canonical.Value) {
			children(&v, func(child *canonical.Value) { want = append(want, *child) })
			children(&v, func(child *canonical.Value) { walk(*child) })
		}
		walk(document)
		got := selected(&document, "$..*")
		if text := string(canonical.AppendValue(nil, canonical.NewArray(want), canonical.Declared)); got != text {
			t.Fatalf("got %s, want %s", got, text)
		}
	})
}

func values(depth int) *rapid.Generator[canonical.Value] {
	return rapid.Custom(func(t *rapid.T) canonical.Value {
		switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case kind == 3 && depth > 0:
			return canonical.NewArray(rapid.SliceOfN(values(depth-1), 0, 4).Draw(t, "items"))
		case kind == 4 && depth > 0:
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "id", ""}), 0, 4, rapid.ID[string]).Draw(t, "names")
			members := make([]canonical.Member, len(names))
			for i, name := range names {
				members[i] = canonical.Member{Name: name, Value: values(depth-1).Draw(t, "member")}
			}
			return canonical.NewObject(members)
		case kind == 2:
			return canonical.NewString(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text"))
		default:
			return canonical.NewInt(int64(rapid.IntRange(-1, 2).Draw(t, "number")))
		}
	})
}

func FuzzSelect(f *testing.F) {
	document := parse(f, store)
	for _, seed := range []string{"$..*", "$.objs[?(@.v.w==$.items[0])].id", `$['it\'s'][1:2:3]`, "$..[?(1.5e3<@.id)]", "$.a=\xff", "$[?(@.é=='"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		path, err := Compile(expression)
		if err != nil {
			return
		}
		matches, err := path.Select(t.Context(), document)
		if err != nil && !errors.Is(err, ErrLimit) || len(matches) > maxNodes {
			t.Fatalf("%d matches, %v", len(matches), err)
		}
	})
}
