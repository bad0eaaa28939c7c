package interop

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// npm is the folder of the programs that "make setup" installs.
const npm = "../../.bin/npm/node_modules"

// TestTypeScriptSDK drives a host with the official TypeScript SDK.
func TestTypeScriptSDK(t *testing.T) {
	modules, err := filepath.Abs(npm)
	if err != nil {
		t.Fatal(err)
	}
	node, err := filepath.Glob(filepath.Join(modules, "node-*/bin/node"))
	if err != nil || len(node) != 1 {
		t.Fatalf("%v is not one JavaScript runtime: run \"make setup\" (%v)", node, err)
	}
	script, err := os.ReadFile("client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	// Modules are looked for beside the script.
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "client.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(open(t).Handler())
	defer server.Close()
	var calls []map[string]any
	for _, step := range steps {
		calls = append(calls, map[string]any{"name": step.tool, "arguments": json.RawMessage(step.arguments)})
	}
	input, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node[0], "client.mjs", server.URL+"/mcp")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var said struct {
		Server    struct{ Name string }
		Tools     []string
		Results   []json.RawMessage
		Prompt    string
		Documents []string
		Refused   string
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	if said.Server.Name != "decision-gate-host" || len(said.Tools) < 14 || len(said.Documents) == 0 ||
		!strings.Contains(said.Prompt, "ship on Fridays only") || !strings.Contains(said.Refused, "unknown tool") {
		t.Errorf("the client says %.1000s", out)
	}
	for i, step := range steps {
		for _, part := range step.holds {
			if !strings.Contains(string(said.Results[i]), part) {
				t.Errorf("%s answers %.600s, want %s in it", step.tool, said.Results[i], part)
			}
		}
		if failed := strings.Contains(string(said.Results[i]), `"isError":true`); failed != step.failed {
			t.Errorf("%s: failed is %v, want %v", step.tool, failed, step.failed)
		}
	}
}
