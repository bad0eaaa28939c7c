package host_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
)

// TestTenantsByRoles is the table of what callers that are held to tenants may name: nothing of another tenant, whether it is
// there or not, nothing that all share, and no folder but their own.
func TestTenantsByRoles(t *testing.T) {
	dir := t.TempDir()
	exports := filepath.Join(dir, "exports")
	if err := os.Mkdir(exports, 0o700); err != nil {
		t.Fatal(err)
	}
	var audit bytes.Buffer
	principal := func(token, roles string) string {
		return fmt.Sprintf("  principal \"token:%x\" {\n%s\n  }\n", sha256.Sum256([]byte(token)), roles)
	}
	h := openAccess(t, dir, `
runpack { dirs = [`+quote(exports)+`] }
audit {}
auth {
  tenants = "roles"
  bearer { tokens = ["one", "two", "all", "none"] }
`+principal("one", "    role \"TenantAdmin\" { tenant = 1 }")+principal("two", "    role \"TenantAdmin\" { tenant = 2 }")+principal("all", "    role \"Operator\" {}")+`}
`, func(c *host.Config) { c.AuditOutput = &lockedWriter{w: &audit} })
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	ask := func(token, tool, arguments string) string {
		t.Helper()
		request, err := http.NewRequest(http.MethodPost, server.URL+"/rpc", strings.NewReader(toolCall(tool, arguments)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	const (
		time  = `{"kind":"unix_millis","value":1710000000000}`
		start = `{"scenario_id":"s","run_config":{"run_id":"r","tenant_id":1,"namespace_id":2,"scenario_id":"s","dispatch_targets":[],"policy_tags":[]},"started_at":` + time + `,"issue_entry_packets":false}`
	)
	spec := func(tenant string) string {
		return `{"spec":{"scenario_id":"s","namespace_id":2,"default_tenant_id":` + tenant + `,"spec_version":"1","stages":[{"stage_id":"a","entry_packets":[],"gates":[],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],"conditions":[],"policies":[],"schemas":[]}}`
	}
	status := func(run string) string {
		return `{"scenario_id":"s","request":{"run_id":"` + run + `","tenant_id":1,"namespace_id":2,"requested_at":` + time + `,"correlation_id":null}}`
	}
	export := func(folder string) string {
		return `{"scenario_id":"s","tenant_id":1,"namespace_id":2,"run_id":"r","output_dir":` + quote(folder) + `,"generated_at":` + time + `,"include_verification":false}`
	}
	verify := func(folder string) string {
		return `{"runpack_dir":` + quote(folder) + `,"manifest_path":"manifest.json"}`
	}
	const refused, elsewhere = `"unauthorized"`, "directory is not inside runpack_dirs"
	own := exports + "/1/r"
	for i, step := range []struct{ token, tool, arguments, want string }{
		{"one", "scenario_define", spec("1"), `"spec_hash"`},
		{"two", "scenario_define", spec("1"), refused},
		{"one", "scenario_define", spec("null"), refused},
		{"none", "scenario_define", spec("1"), refused},
		{"all", "scenario_define", spec("null"), `"spec_hash"`},
		{"one", "scenario_start", start, `"active"`},
		{"two", "scenario_start", start, refused},
		{"two", "scenario_status", status("r"), refused},
		{"two", "scenario_status", status("not there"), refused},
		{"none", "scenario_status", status("r"), refused},
		{"all", "scenario_status", status("r"), `"active"`},
		{"one", "runpack_export", export(exports + "/r"), elsewhere},
		{"one", "runpack_export", export(exports + "/2/r"), elsewhere},
		{"one", "runpack_export", export(exports + "/1/../2/r"), elsewhere},
		{"one", "runpack_export", export(exports), elsewhere},
		{"one", "runpack_export", export(dir + "/1"), elsewhere},
		{"one", "runpack_export", export(own), `"manifest"`},
		{"one", "runpack_verify", verify(own), `"pass"`},
		{"all", "runpack_verify", verify(own), `"pass"`},
		{"two", "runpack_verify", verify(own), elsewhere},
		{"two", "runpack_verify", verify(exports + "/1/not there"), elsewhere},
		{"none", "runpack_verify", verify(own), elsewhere},
		{"none", "runpack_verify", verify("file:///1"), "there is no runpack plugin"},
	} {
		if got := ask(step.token, step.tool, step.arguments); !strings.Contains(got, step.want) {
			t.Errorf("step %d, %s asks for %s: %s, want %s", i, step.token, step.tool, got, step.want)
		}
	}
	// A bundle that somebody has put into the folder of another tenant stays whose it is.
	if err := os.CopyFS(exports+"/2/r", os.DirFS(own)); err != nil {
		t.Fatal(err)
	}
	if got := ask("two", "runpack_verify", verify(exports+"/2/r")); !strings.Contains(got, refused) {
		t.Errorf("a bundle of another tenant: %s", got)
	}
	for _, want := range []string{`"allowed":true,"reason":"role_allow"`, `"allowed":false,"reason":"role_deny"`} {
		if !strings.Contains(audit.String(), want) {
			t.Errorf("the audit log lacks %s", want)
		}
	}
}
