package opensource

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// indifferent are the options that change nothing, and why.
var indifferent = map[string]string{
	"dev.permissive_scope":             "it has one value",
	"validation.profile":               "it has one value",
	"runpack_storage.region":           "the table is named as a whole",
	"runpack_storage.endpoint":         "the table is named as a whole",
	"runpack_storage.prefix":           "the table is named as a whole",
	"runpack_storage.force_path_style": "the table is named as a whole",
}

var anyItem = regexp.MustCompile(`\[\d+\]`)

// TestEveryOptionCounts takes each value out of each file in testdata: the configuration that comes of it is another one, or
// what is said of it, or the file is refused. An option of which that is nowhere so is read and forgotten.
func TestEveryOptionCounts(t *testing.T) {
	dir := prepared(t)
	counted := map[string]bool{}
	for _, name := range []string{"full", "guarded", "mtls", "stdio", "lost", "authority", "http", "rest"} {
		src, err := os.ReadFile("testdata/" + name + ".toml")
		if err != nil {
			t.Fatal(err)
		}
		var root map[string]any
		if err := toml.Unmarshal(src, &root); err != nil {
			t.Fatal(err)
		}
		outcome := func() string {
			text, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			result, err := importIn(dir, "x.json", text)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(told(result), result.NotCarried, result.Notes)
		}
		whole := outcome()
		takeOut(root, "", func(at string) {
			if outcome() != whole {
				counted[anyItem.ReplaceAllString(at, "[]")] = true
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if why := indifferent[name]; counted[name] == (why != "") {
			t.Errorf("%s: counts %t, %s", name, counted[name], why)
		}
	}
}

// takeOut calls try without each member of a value, at every depth.
func takeOut(v any, at string, try func(at string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			delete(v, name)
			try(join(at, name))
			v[name] = member
			takeOut(member, join(at, name), try)
		}
	case []any:
		for i, member := range v {
			takeOut(member, item(at, i), try)
		}
	}
}
