package host_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// auditLine is what these tests ask of a line.
type auditLine struct {
	Event, Tool, Outcome, Kind string
	DevPermissive              bool   `json:"dev_permissive"`
	ServerCorrelationID        string `json:"server_correlation_id"`
}

func auditLines(t *testing.T, path string) (lines []auditLine) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var l auditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// requests are the tools of the requests that were recorded.
func requests(lines []auditLine) (tools []string) {
	for _, l := range lines {
		if l.Event == "mcp_request" {
			tools = append(tools, l.Tool)
		}
	}
	return tools
}

// TestAuditFile moves the log away while the host runs: what was answered before is in the old file, what follows in the new
// one. The first line says that the host is in its development mode.
func TestAuditFile(t *testing.T) {
	dir := t.TempDir()
	f := openWith(t, dir, hcl+"audit { path = \"audit.jsonl\" }\ndevelopment { accept_asserted = true }\n")
	path := filepath.Join(dir, "audit.jsonl")
	f.must("providers_list", json.RawMessage(`{}`), nil)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.must("scenarios_list", json.RawMessage(`{"tenant_id":1,"namespace_id":1}`), nil)
	if err := f.Host.ReopenAudit(); err != nil {
		t.Fatal(err)
	}
	f.must("providers_list", json.RawMessage(`{}`), nil)
	old := auditLines(t, path+".1")
	if first := old[0]; first.Event != "security_audit" || first.Kind != "dev_permissive_enabled" || !first.DevPermissive {
		t.Errorf("the first line is %+v", first)
	}
	if got := strings.Join(requests(old), " "); got != "providers_list" {
		t.Errorf("the file that was moved away holds %q", got)
	}
	if got := strings.Join(requests(auditLines(t, path)), " "); got != "scenarios_list providers_list" {
		t.Errorf("the new file holds %q", got)
	}
	f.stop()
	again := openWith(t, dir, hcl+`audit { path = "audit.jsonl" }`)
	again.must("providers_list", json.RawMessage(`{}`), nil)
	if got := requests(auditLines(t, path)); len(got) != 3 {
		t.Errorf("after a restart the file holds %q", got)
	}
}

// TestAuditFolderGone takes the folder of the log away: the host refuses calls and is not ready until it is there again.
func TestAuditFolderGone(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	f := openWith(t, dir, hcl+`audit { path = "logs/audit.jsonl" }`)
	ready := func() int {
		t.Helper()
		r, err := http.Get(f.URL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if status := ready(); status != http.StatusOK {
		t.Errorf("at the start: %d", status)
	}
	if err := os.RemoveAll(logs); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := f.call("providers_list", json.RawMessage(`{}`)); r.Error == nil || r.Error.Code != -32050 || !r.Error.Data.Retryable || strings.Contains(r.Error.Message, dir) {
			t.Errorf("without a folder: %+v", r.Error)
		}
		if status := ready(); status != http.StatusServiceUnavailable || f.Host.Ready() {
			t.Errorf("without a folder: %d", status)
		}
	}
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	if status := ready(); status != http.StatusOK || !f.Host.Ready() {
		t.Errorf("with a new folder: %d", status)
	}
	f.must("scenarios_list", json.RawMessage(`{"tenant_id":1,"namespace_id":1}`), nil)
	// The call that failed was made, and is recorded; the one after it was not made.
	if got := strings.Join(requests(auditLines(t, filepath.Join(logs, "audit.jsonl"))), " "); got != "providers_list scenarios_list" {
		t.Errorf("the new file holds %q", got)
	}
}

// TestAuditRefused opens hosts whose log cannot be: they do not start without it.
func TestAuditRefused(t *testing.T) {
	for path, want := range map[string]string{
		"none/audit.jsonl": "audit.path names a folder that is not there",
		"evidence":         "audit log",
	} {
		dir := t.TempDir()
		settings, err := config.Load(writeConfig(t, dir, hcl+`audit { path = "`+path+`" }`))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := host.Open(t.Context(), host.Config{Settings: settings, Logger: testLog(t)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
			if err == nil {
				h.Close()
			}
		}
	}
}

// TestAuditOutput writes to the embedder's writer where there is no path, and nothing where there is no log.
func TestAuditOutput(t *testing.T) {
	for block, want := range map[string]string{"": "", "audit {}": "providers_list"} {
		dir := t.TempDir()
		settings, err := config.Load(writeConfig(t, dir, hcl+block))
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, "out.jsonl")
		file, err := os.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		h, err := host.Open(t.Context(), host.Config{Settings: settings, Logger: testLog(t), AuditOutput: file})
		if err != nil {
			t.Fatal(err)
		}
		f := serveHost(t, h, dir)
		f.must("providers_list", json.RawMessage(`{}`), nil)
		f.stop()
		file.Close()
		if got := strings.Join(requests(auditLines(t, out)), " "); got != want {
			t.Errorf("%q: the output holds %q", block, got)
		}
	}
}
