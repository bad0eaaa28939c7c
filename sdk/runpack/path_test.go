package runpack_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func TestValidatePath(t *testing.T) {
	component := strings.Repeat("x", runpack.MaxComponent)
	longest := strings.Repeat(component+"/", 16)[:runpack.MaxPath-1]
	for path, want := range map[string]bool{
		"a": true, "artifacts/decisions.json": true, "...": true, "a/..b": true, "é\n": true, component: true, longest: true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/./b": false, "a/../b": false,
		"../a": false, "a\x00b": false, `a\b`: false, "\xff": false, component + "x": false, longest + "/x": false,
	} {
		err := runpack.ValidatePath(path)
		if (err == nil) != want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%.40q: %v", path, err)
		}
	}
}

// The attack: a path that leaves the bundle's directory.
func FuzzValidatePath(f *testing.F) {
	f.Add("a/b")
	f.Add("a/../../b")
	f.Fuzz(func(t *testing.T, path string) {
		if runpack.ValidatePath(path) != nil {
			return
		}
		if !filepath.IsLocal(path) || filepath.ToSlash(filepath.Clean(path)) != path {
			t.Errorf("%q is valid and not local or not clean", path)
		}
	})
}
