package canonical_test

import (
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

func TestParseMembers(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	tests := []struct {
		name, document string
		want           string // the members found, canonical; empty means refused
	}{
		{"wanted in document order", `{"b":2,"a":1}`, `[2,1]`},
		{"unwanted skipped", `{"x":{"a":[1,{"b":null}],"c":"}"},"a":true}`, `[true]`},
		{"unwanted repeated", `{"x":1,"x":2,"a":3}`, `[3]`},
		{"unwanted of any depth", `{"x":` + deep + `,"a":1}`, `[1]`},
		{"unwanted empty containers", `{"x":{},"y":[],"z":[{},[]],"a":1}`, `[1]`},
		{"unwanted out of range", `{"x":1e999,"a":1}`, `[1]`},
		{"white space", " { \"x\" : [ 1 , { \"k\" : 2 } ] , \"a\" : 1 } ", `[1]`},
		{"escaped name", `{"\u0061":1}`, `[1]`},
		{"none", `{}`, `[]`},
		{"wanted repeated", `{"a":1,"a":1}`, ``},
		{"wanted too deep", `{"a":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`, ``},
		{"wanted as deep as may be", `{"a":` + strings.Repeat("[", 126) + strings.Repeat("]", 126) + `}`, strings.Repeat("[", 127) + strings.Repeat("]", 127)},
		{"array", `[]`, ``},
		{"trailing", `{} {}`, ``},
		{"trailing comma", `{"a":1,}`, ``},
		{"unwanted array without comma", `{"x":[1 2]}`, ``},
		{"unwanted trailing comma", `{"x":[1,]}`, ``},
		{"unwanted object without colon", `{"x":{"k" 1}}`, ``},
		{"unwanted mismatched", `{"x":[}}`, ``},
		{"unwanted literal", `{"x":nul}`, ``},
		{"unwanted unclosed", `{"x":[`, ``},
		{"unwanted string unclosed", `{"x":"`, ``},
		{"unwanted escape at end", `{"x":"\`, ``},
		{"empty", ``, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			members, err := canonical.ParseMembers([]byte(tt.document), "a", "b")
			if tt.want == "" {
				if err == nil {
					t.Fatalf("accepted %v", members)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var items []canonical.Value
			for _, m := range members {
				items = append(items, m.Value)
			}
			if got := string(canonical.AppendValue(nil, canonical.NewArray(items), canonical.Canonical)); got != tt.want {
				t.Fatalf("got %s, want %s", got, tt.want)
			}
		})
	}
}
