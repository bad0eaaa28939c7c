package catalog

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// configured loads a configuration from a folder of its own, with one store plugin that has the sandbox.
func configured(t *testing.T, box string) (*config.Config, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"data", "secrets"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := "plugin \"store\" \"main\" {\n  command = [\"plugin\", \"store\"]\n  config { path = \"data/log\" }\n  sandbox {\n    " + box + "\n  }\n}\n"
	path := filepath.Join(dir, "decision-gate.hcl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// TestConfined has a store work in its sandbox, and finds that it is in one.
func TestConfined(t *testing.T) {
	c, dir := configured(t, `write = ["data"]`)
	catalog, log := open(t, c.Plugins...)
	if _, err := catalog.Store().Commit(t.Context(), []store.Commit{add(1, "n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "log")); err != nil {
		t.Error(err)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(catalog.Status()[0].PID) + "/status")
	if runtime.GOOS != "linux" {
		wantContains(t, log.String(), "sandboxes need Linux")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	wantContains(t, string(status), "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000")

	// The same with the wrong folder: it cannot open its file.
	c, _ = configured(t, `write = ["secrets"]`)
	_, err = Open(t.Context(), options(&testLog{}, c.Plugins...))
	if err == nil || !strings.Contains(err.Error(), "it refuses its settings") {
		t.Errorf("Open = %v, want that it cannot open its file", err)
	}
}

// TestSandboxRefusals has settings that cannot be honoured, and such as would make the sandbox none.
func TestSandboxRefusals(t *testing.T) {
	for box, want := range map[string]string{
		`read = ["nowhere"]`:            "nowhere is not there: make it",
		`write = ["."]`:                 "holds the configuration and its lock file",
		`write = ["/"]`:                 "holds the configuration and its lock file",
		`write = ["decision-gate.hcl"]`: "holds the configuration or its lock file",
		`write = ["` + binDir + `"]`:    "holds the plugin itself",
		`user = "no-such-user"`:         `there is no user "no-such-user"`,
	} {
		c, _ := configured(t, box)
		err := Check(options(&testLog{}, c.Plugins...))
		var findings *config.Error
		if !errors.As(err, &findings) || len(findings.Diagnostics) != 1 || findings.Diagnostics[0].Line != 5 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in line 5", box, err, want)
		}
	}
}

// TestShortfalls asks for what this machine may not enforce: it is told at the start, and refused when it is required.
func TestShortfalls(t *testing.T) {
	const box = `write = ["data"]
    memory = "512MiB"`
	c, _ := configured(t, box)
	lacking := (&sandbox.Sandbox{Memory: 512 << 20}).Shortfalls()
	_, log := open(t, c.Plugins...)
	told := strings.Contains(log.String(), "is not enforced in full on this machine") && strings.Contains(log.String(), "memory: no control group")
	if told != slices.ContainsFunc(lacking, func(s sandbox.Shortfall) bool { return s.Setting == "memory" }) {
		t.Errorf("lacking %v, and the log says\n%s", lacking, log.String())
	}
	c, _ = configured(t, box+"\n    required = true")
	err := Check(options(&testLog{}, c.Plugins...))
	switch {
	case len(lacking) == 0 && err != nil:
		t.Error(err)
	case len(lacking) > 0 && (err == nil || !strings.Contains(err.Error(), "line 7") || !strings.Contains(err.Error(), lacking[0].Missing)):
		t.Errorf("Check = %v, want %q in line 7", err, lacking[0].Missing)
	}
}

// TestConfinedScript runs a program that is a script, in a sandbox that lets it read nothing but that.
func TestConfinedScript(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "plugin.sh")
	if err := os.WriteFile(script, []byte("exec "+filepath.Join(binDir, "plugin")+" store\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Fatal(err)
	}
	p := storePlugin("store", nil)
	p.Command, p.Dir = config.Command{"sh", script}, dir
	p.Sandbox = &config.Sandbox{Network: "none", Read: []string{binDir}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Open(ctx, options(&testLog{}, p))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}
