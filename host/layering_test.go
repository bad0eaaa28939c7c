package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const product = "github.com/decision-gate-host/decision-gate-host/"

// backends are what must never be linked into the core: a database, a cloud, an identity provider, a telemetry SDK. Those
// are plugins.
var backends = []string{
	"jackc/pgx", "aws/aws-sdk-go", "coreos/go-oidc", "zitadel/oidc", "modernc.org/sqlite", "ncruces/go-sqlite3", "mattn/go-sqlite3",
	"prometheus/client_golang", "go.opentelemetry.io/otel/sdk",
}

// graphBackends must not even be in the module graph. (grpc itself requires modules of otel.)
var graphBackends = []string{"jackc/pgx", "aws/aws-sdk-go", "oidc", "sqlite"}

func goTool(t *testing.T, dir string, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.Fields(string(out))
}

func refuseAny(t *testing.T, what string, found, banned []string) {
	t.Helper()
	if len(found) == 0 {
		t.Fatalf("%s: nothing was listed", what)
	}
	for _, name := range found {
		for _, b := range banned {
			if strings.Contains(name, b) {
				t.Errorf("%s: %s", what, name)
			}
		}
	}
}

func TestHostLinksNoBackend(t *testing.T) {
	refuseAny(t, "host links", goTool(t, ".", nil, "list", "-deps", "./..."), backends)
}

// TestHostGraphHoldsNoBackend looks at the module graph of host and sdk alone, as an embedder has it.
func TestHostGraphHoldsNoBackend(t *testing.T) {
	host, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	sdk := filepath.Join(filepath.Dir(host), "sdk")
	work := filepath.Join(t.TempDir(), "go.work")
	content := fmt.Sprintf("go 1.26.0\nuse (\n%q\n%q\n)\nreplace %ssdk v0.0.0 => %q\n", host, sdk, product, sdk)
	if err := os.WriteFile(work, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	refuseAny(t, "module graph of host", goTool(t, ".", []string{"GOWORK=" + work, "GOFLAGS=-mod=readonly"}, "list", "-m", "all"), graphBackends)
}

func TestPluginsDoNotImportHost(t *testing.T) {
	for _, dir := range []string{"../sdk", "../plugins/store-sqlite", "../plugins/store-postgres", "../plugins/runpack-fs", "../plugins/auth-oidc", "../examples/evidence-calendar"} {
		refuseAny(t, dir+" imports", goTool(t, dir, nil, "list", "-deps", "-test", "./..."), []string{product + "host"})
	}
}

// TestNoReplace: a module with a replace cannot be installed by version.
func TestNoReplace(t *testing.T) {
	files, err := filepath.Glob("../*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../*/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, more...)
	if len(files) < 5 {
		t.Fatalf("found only %v", files)
	}
	for _, file := range files {
		var module struct{ Replace []json.RawMessage }
		out := goTool(t, filepath.Dir(file), []string{"GOWORK=off"}, "mod", "edit", "-json")
		if err := json.Unmarshal([]byte(strings.Join(out, " ")), &module); err != nil {
			t.Fatal(err)
		}
		if len(module.Replace) > 0 {
			t.Errorf("%s has a replace", file)
		}
	}
}
