package kits_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestLanguages runs testdata: the SDKs of other languages, and their examples, through the command that their authors use.
// $ROOT is the folder of the repository; "make setup" brings what they need into its .bin.
func TestLanguages(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []string{".bin/python/bin/python", ".bin/typescript/node_modules/esbuild/bin/esbuild"} {
		if _, err := os.Stat(filepath.Join(root, needed)); err != nil {
			t.Fatalf("%v: run make setup", err)
		}
	}
	programs := t.TempDir()
	build := exec.Command("go", "build", "-o", programs, "github.com/decision-gate-host/decision-gate-host/host/cmd/decision-gate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	folders := strings.Split(strings.TrimSpace(string(caches)), "\n")
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("GOCACHE", folders[0])
			env.Setenv("GOMODCACHE", folders[1])
			env.Setenv("PATH", programs+string(os.PathListSeparator)+env.Getenv("PATH"))
			// Sockets of plugins have short paths, which the scripts' own directories may not allow.
			env.Setenv("TMPDIR", os.TempDir())
			return nil
		},
	})
}
