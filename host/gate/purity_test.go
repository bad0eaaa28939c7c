package gate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed are the packages that decisions may be made with: none of them reads a file, a clock, the network or chance. A
// decision must come out the same for whoever makes it again from the record. The codec may keep what it learned of a type.
var allowed = map[string][]string{
	".": {
		"bytes", "cmp", "crypto/sha256", "encoding/hex", "errors", "fmt", "math", "slices", "strconv", "strings",
		"github.com/decision-gate-host/decision-gate-host/host/canonical",
	},
	"../canonical": {
		"bytes", "cmp", "crypto/sha256", "encoding/hex", "errors", "fmt", "math", "reflect", "slices", "strconv", "strings",
		"sync", "unicode/utf16", "unicode/utf8",
	},
}

// calendar is the one file that may use package time, to read dates; never its clock.
const calendar = "temporal.go"

var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep", "Local", "LoadLocation"}

func TestEngineIsPure(t *testing.T) {
	for dir, imports := range allowed {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			checked++
			for _, problem := range impurities(t, file, imports) {
				t.Errorf("%s %s", file, problem)
			}
		}
		if checked < 8 {
			t.Errorf("%d files in %s", checked, dir)
		}
	}
}

// impurities says what a file does that the engine may not.
func impurities(t *testing.T, file string, imports []string) []string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return impure(t, filepath.Base(file), string(source), imports)
}

func impure(t *testing.T, name, source string, imports []string) (problems []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if !slices.Contains(imports, path) && (path != "time" || name != calendar) || spec.Name != nil {
			problems = append(problems, "imports "+spec.Path.Value)
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			problems = append(problems, "starts a goroutine")
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			problems = append(problems, "uses a channel")
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clock, n.Sel.Name) {
				problems = append(problems, "uses time."+n.Sel.Name)
			}
		}
		return true
	})
	return problems
}

// The check itself sees what it is for.
func TestImpuritiesAreSeen(t *testing.T) {
	for source, want := range map[string]string{
		`package x; import "os"; var _ = os.Args`:                                        `imports "os"`,
		`package x; import "time"; var _ time.Time`:                                      `imports "time"`,
		`package x; import m "math"; var _ = m.Pi`:                                       `imports "math"`,
		`package x; func f() { go f() }`:                                                 "starts a goroutine",
		`package x; func f(c chan int) { c <- 1 }`:                                       "uses a channel uses a channel",
		`package x; import "github.com/decision-gate-host/decision-gate-host/sdk/store"`: `imports "github.com/decision-gate-host/decision-gate-host/sdk/store"`,
	} {
		if got := strings.Join(impure(t, "x.go", source, allowed["."]), " "); got != want {
			t.Errorf("%s: %q", source, got)
		}
	}
	if got := strings.Join(impure(t, calendar, `package x; import "time"; var _ = time.Now()`, allowed["."]), " "); got != "uses time.Now" {
		t.Errorf("a clock: %q", got)
	}
}
