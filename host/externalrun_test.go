package host_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// environmentContract is the contract of a provider with one check.
func environmentContract(id string) string {
	return fmt.Sprintf(`{"provider_id": %q, "name": "n", "description": "d", "transport": "mcp", "config_schema": {}, "notes": [],
  "checks": [{"check_id": "environment", "description": "d", "determinism": "external", "params_required": false, "params_schema": {"type": "object"},
    "result_schema": {"type": "string"}, "allowed_comparators": ["equals", "exists"], "anchor_types": [], "content_types": [], "examples": []}]}`, id)
}

// programHCL writes the contract of a provider beside the configuration, and is its block.
func programHCL(t *testing.T, dir, program, id, settings string, args ...string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, id+".json"), []byte(environmentContract(id)), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("evidence \"mcp\" %q {\n  command = %s\n  capabilities = %q\n%s\n}\n", id, list(append([]string{program}, args...)), id+".json", settings)
}

func environmentOf(provider string) object {
	return object{"provider_id": provider, "check_id": "environment"}
}

// TestHangingProvider decides for 16 callers at once on a provider that never answers and one that does: the gate that the
// healthy one opens is open for each of them, and afterwards both can be asked by others.
func TestHangingProvider(t *testing.T) {
	program := launchtest.Build(t, "./testdata/provider")
	dir := t.TempDir()
	const quick = "  request_timeout = \"500ms\"\n  connect_timeout = \"100ms\""
	f := openWith(t, dir, hcl+
		programHCL(t, dir, program, "stuck", quick, "hang")+
		// A healthy program must not seem to hang on a busy machine.
		programHCL(t, dir, program, "healthy", "  request_timeout = \"30s\"", "value"))
	conditions, leaves := []object{}, []object{}
	for _, id := range []string{"stuck", "healthy"} {
		conditions = append(conditions, object{"condition_id": id, "comparator": "equals", "expected": "production", "policy_tags": []any{}, "query": environmentOf(id)})
		leaves = append(leaves, object{"Condition": id})
	}
	f.must("scenario_define", object{"spec": object{
		"scenario_id": "either", "namespace_id": 1, "spec_version": "1", "policies": []any{}, "schemas": []any{}, "default_tenant_id": 1, "conditions": conditions,
		"stages": []object{{
			"stage_id": "a", "entry_packets": []any{}, "advance_to": object{"kind": "terminal"}, "on_timeout": "fail",
			"gates": []object{{"gate_id": "g", "requirement": object{"Or": leaves}}},
		}},
	}}, nil)
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			r := run{f, "either", fmt.Sprint("r", i), 1}
			r.start(false)
			if got := outcome(t, r.at("t", inSummer)); got != "complete" {
				t.Errorf("caller %d: %s", i, got)
			}
		})
	}
	callers.Wait()
	if a := f.ask(environmentOf("healthy"), inSummer); a.Result.Value == nil || a.Result.Value.Value != "production" {
		t.Errorf("the healthy provider: %+v", a.Result)
	}
	if a := f.ask(environmentOf("stuck"), inSummer); a.Result.Error == nil || !strings.HasPrefix(a.Result.Error.Message, "evidence provider error: mcp ") {
		t.Errorf("the stuck provider: %+v", a.Result)
	}
}

// TestBoundSignatures runs on providers that sign for the question, one of them always for the first one: whoever has got one
// good answer could open every later gate with it.
func TestBoundSignatures(t *testing.T) {
	program := launchtest.Build(t, "./testdata/provider")
	dir := t.TempDir()
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x2a}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	if err := os.WriteFile(filepath.Join(dir, "ci.pub"), []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	named := "  signatures {\n    named_keys = { \"ci-2026\" = \"ci.pub\" }\n    require_bound = true\n  }"
	f := openWith(t, dir, strings.Replace(hcl, `trust { min_lane = "asserted" }`, `trust {
  signatures { keys = ["ci.pub"] }
}`, 1)+
		programHCL(t, dir, program, "signing", named, "sign", "ci-2026")+
		programHCL(t, dir, program, "path", "", "sign", "ci.pub")+
		programHCL(t, dir, program, "replaying", named, "replay", "ci-2026")+
		programHCL(t, dir, program, "unsigned", "", "value"))
	for provider, want := range map[string]string{"signing": "complete", "path": "complete", "replaying": "hold", "unsigned": "hold"} {
		// The first question is one outside of any run.
		if a := f.ask(environmentOf(provider), atChristmas); (a.Result.Error != nil) != (provider == "unsigned") {
			t.Errorf("%s: %+v", provider, a.Result.Error)
		}
		r := defineOn(f, provider, environmentOf(provider), "production")
		if got := outcome(t, r.at("t", inSummer)); got != want {
			t.Errorf("%s: %s, want %s", provider, got, want)
		}
	}
	if a := f.ask(environmentOf("replaying"), inSummer); a.Result.Error == nil || a.Result.Error.Message != "evidence provider error: signature verification failed" {
		t.Errorf("a replayed signature: %+v", a.Result)
	}
	// The built-in providers sign nothing.
	if a := f.ask(object{"provider_id": "time", "check_id": "now"}, inSummer); a.Result.Error == nil || a.Result.Error.Message != "evidence provider error: missing evidence signature" {
		t.Errorf("time: %+v", a.Result)
	}
}

// TestProviderEndsWithHost kills a host, and ends another in order: their provider, which would go on for ever, is gone.
func TestProviderEndsWithHost(t *testing.T) {
	provider := launchtest.Build(t, "./testdata/provider")
	for name, signal := range map[string]os.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := writeConfig(t, dir, hcl+programHCL(t, dir, "/bin/sh", "endless", "", "-c", "echo $$ >provider.pid; exec "+provider+" hang"))
			p := startProgram(t, config, t.TempDir())
			var pid int
			waitFor(t, "the provider runs", func() bool {
				text, _ := os.ReadFile(filepath.Join(dir, "provider.pid"))
				_, err := fmt.Sscan(string(text), &pid)
				return err == nil
			})
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the provider is gone", func() bool {
				state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err != nil || bytes.Contains(state, []byte(") Z ")) // reaped later by whoever adopts it
			})
		})
	}
}

// TestExternalRefused checks configurations whose files or programs cannot be used: told with the line, before anything runs,
// and without a path that came from the environment.
func TestExternalRefused(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOST_TEST_PATH", filepath.Join(dir, "s3cret"))
	for name, text := range map[string]string{
		"ok.json": environmentContract("p"), "other.json": environmentContract("q"), "broken.json": "{", "bad.pub": "!!!", "program": "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const web = "  url = \"https://ci.example/\"\n  capabilities = \"ok.json\"\n"
	for name, test := range map[string]struct {
		block string
		want  []string
	}{
		"no contract":     {"  url = \"https://ci.example/\"\n  capabilities = \"absent.json\"", []string{"provider capability contract read failed: " + filepath.Join(dir, "absent.json") + ": no such file"}},
		"broken contract": {"  url = \"https://ci.example/\"\n  capabilities = \"broken.json\"", []string{"provider capability contract parse failed: ", "broken.json"}},
		"another's":       {"  url = \"https://ci.example/\"\n  capabilities = \"other.json\"", []string{"provider capability contract invalid: p: provider id mismatch (expected p, got q)"}},
		"hidden path":     {"  url = \"https://ci.example/\"\n  capabilities = env(\"HOST_TEST_PATH\")", []string{"provider capability contract read failed: the value (hidden"}},
		"no program":      {"  command = [\"./absent\"]\n  capabilities = \"ok.json\"", []string{"failed to spawn mcp provider: ./absent: "}},
		"not executable":  {"  command = [\"./program\"]\n  capabilities = \"ok.json\"", []string{"failed to spawn mcp provider: ./program: permission denied"}},
		"not in PATH":     {"  command = [\"no-such-program-at-all\"]\n  capabilities = \"ok.json\"", []string{"executable file not found in $PATH"}},
		"hidden program":  {"  command = [env(\"HOST_TEST_PATH\")]\n  capabilities = \"ok.json\"", []string{"failed to spawn mcp provider: the value (hidden"}},
		"no key":          {web + "  signatures { keys = [\"absent.pub\"] }", []string{filepath.Join(dir, "absent.pub") + `": unable to read public key`}},
		"bad key":         {web + "  signatures { keys = [\"bad.pub\"] }", []string{"invalid base64 public key"}},
		"bad named key":   {web + "  signatures { named_keys = { k = \"program\" } }", []string{"invalid base64 public key"}},
	} {
		t.Run(name, func(t *testing.T) {
			settings, err := config.Load(writeConfig(t, dir, hcl+"evidence \"mcp\" \"p\" {\n"+test.block+"\n}\n"))
			if err != nil {
				t.Fatal(err)
			}
			checked := host.Check(host.Config{Settings: settings, Logger: testLog(t)})
			_, opened := host.Open(context.Background(), host.Config{Settings: settings, Logger: testLog(t)})
			for _, err := range []error{checked, opened} {
				var findings *config.Error
				if !errors.As(err, &findings) {
					t.Fatalf("got %v", err)
				}
				for _, want := range append(test.want, "host.hcl line ") {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %s", err, want)
					}
				}
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("the text shows a value that came from env(): %v", err)
				}
			}
		})
	}
}
