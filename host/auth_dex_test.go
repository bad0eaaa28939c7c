package host_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// dex is a real identity provider on a loopback port, which plugins/auth-oidc/testdata/dex serves.
type dex struct {
	t      *testing.T
	issuer string
}

// builtOnce is a program that the first test which needs it builds.
func builtOnce(t *testing.T, name, dir string, env ...string) string {
	t.Helper()
	program := filepath.Join(pluginDir, name)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	build.Env = append(build.Environ(), append(env, "CGO_ENABLED=0")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return program
}

// startDex builds and starts it. Its module is none of the workspace, so that its dependencies do not move the product's.
func startDex(t *testing.T) *dex {
	t.Helper()
	cmd := exec.Command(builtOnce(t, "dex", "../plugins/auth-oidc/testdata/dex", "GOWORK=off"))
	alive, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = alive.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("dex does not say where it is: %v", err)
	}
	return &dex{t, strings.TrimSpace(line)}
}

// control has its operator do something.
func (d *dex) control(what string, form url.Values) {
	d.t.Helper()
	response, err := http.PostForm(strings.TrimSuffix(d.issuer, "/dex")+"/control/"+what, form)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %d", what, response.StatusCode)
	}
}

// login is the access token that a user gets from a client of dex.
func (d *dex) login(user, client string) string {
	d.t.Helper()
	form := url.Values{"grant_type": {"password"}, "username": {user + "@example.com"}, "password": {"correct-horse"}, "scope": {"openid email groups offline_access"}}
	request, err := http.NewRequest(http.MethodPost, d.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	request.SetBasicAuth(client, "a-client-secret")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Access == "" {
		d.t.Fatalf("dex gives %s no token: %d, %v", user, response.StatusCode, err)
	}
	return answer.Access
}

// gated is a host whose callers dex knows, of which callers of this machine need no token.
func gated(t *testing.T, d *dex) *fixture {
	t.Helper()
	return openWith(t, t.TempDir(), gatedHCL(t, d))
}

func gatedHCL(t *testing.T, d *dex) string {
	t.Helper()
	plugin := builtOnce(t, "auth-oidc", "../plugins/auth-oidc")
	return hcl + fmt.Sprintf(`
plugin "auth" "oidc" {
  command         = %q
  health_interval = "100ms"
  deadlines { authenticate = "2s" }
  restart {
    budget = 2
    slow   = "2s"
  }
  config {
    issuer        = %q
    audiences     = ["decision-gate"]
    roles_claim   = ["groups"]
    refetch_pause = "100ms"
    refresh       = "1s"
    role {
      value  = "gate-admins"
      name   = "TenantAdmin"
      tenant = 1
    }
    role {
      value  = "readers-of-two"
      name   = "NamespaceReader"
      tenant = 2
    }
  }
}
auth {
  local {}
  tenants = "roles"
}
`, plugin, d.issuer)
}

// said is what a caller gets: the status, and the code and kind of an error.
func (f *fixture) said(surface, token string, tenant int) string {
	f.t.Helper()
	body, err := json.Marshal(object{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": object{
		"name": "schemas_list", "arguments": object{"tenant_id": tenant, "namespace_id": 2},
		"_meta": object{
			"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": object{"name": "test", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": object{},
		},
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, f.URL+surface, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if surface == "/mcp" {
		request.Header.Set("Accept", "application/json, text/event-stream")
		request.Header.Set("MCP-Protocol-Version", "2026-07-28")
		request.Header.Set("Mcp-Method", "tools/call")
		request.Header.Set("Mcp-Name", "schemas_list")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if challenged := response.Header.Get("WWW-Authenticate") != ""; challenged != (response.StatusCode == http.StatusUnauthorized) {
		f.t.Errorf("status %d with challenge %q", response.StatusCode, response.Header.Get("WWW-Authenticate"))
	}
	switch found := strings.ToLower(string(text)); {
	case strings.Contains(found, `"kind":"unauthorized"`):
		return "unauthorized"
	case strings.Contains(found, `"kind":"unauthenticated"`):
		return "unauthenticated"
	case strings.Contains(found, `"retryable":true`):
		return "unavailable"
	case strings.Contains(found, `"error"`):
		return "error: " + string(text)
	default:
		return "let in"
	}
}

var surfaces = []string{"/rpc", "/mcp"}

// want asks on both surfaces.
func (f *fixture) want(when, token string, tenant int, want string) {
	f.t.Helper()
	for _, surface := range surfaces {
		if got := f.said(surface, token, tenant); got != want {
			f.t.Errorf("%s, at %s: %s, want %s", when, surface, got, want)
		}
	}
}

func part(token string, i int, v any) string {
	parts := strings.Split(token, ".")
	if v == nil {
		return parts[i]
	}
	text, _ := json.Marshal(v)
	parts[i] = base64.RawURLEncoding.EncodeToString(text)
	return strings.Join(parts, ".")
}

func claimsOf(t *testing.T, token string, i int) object {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part(token, i, nil))
	if err != nil {
		t.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTokensOfDex lets in whom a real issuer knows, with the roles that its groups give, and nobody else.
func TestTokensOfDex(t *testing.T) {
	d := startDex(t)
	f := gated(t, d)
	alice, bob, carol := d.login("alice", "decision-gate"), d.login("bob", "decision-gate"), d.login("carol", "decision-gate")
	f.want("an administrator of tenant 1", alice, 1, "let in")
	f.want("the same, in tenant 2", alice, 2, "unauthorized")
	f.want("a reader of tenant 2", bob, 2, "let in")
	f.want("the same, in tenant 1", bob, 1, "unauthorized")
	f.want("somebody without a role", carol, 1, "unauthorized")
	if r := f.call("providers_list", object{}); r.Error != nil {
		t.Errorf("a caller of this machine, without token: %+v", r.Error)
	}

	// Attack: use a token that was given to another service.
	f.want("another audience", d.login("alice", "another-service"), 1, "unauthenticated")
	// Attack: use a token that has expired.
	d.control("clock", url.Values{"offset": {"-2h"}})
	f.want("an expired token", d.login("alice", "decision-gate"), 1, "unauthenticated")
	d.control("clock", url.Values{"offset": {"0s"}})
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := part(alice, 0, nil) + "." + part(alice, 1, nil)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	// Attack: sign with a key of one's own, under the id of the issuer's.
	f.want("another key", signed+"."+base64.RawURLEncoding.EncodeToString(signature), 1, "unauthenticated")
	// Attack: say that a token needs no signature.
	unsigned := part(alice, 0, object{"alg": "none"})
	f.want("no signature", unsigned[:strings.LastIndex(unsigned, ".")+1], 1, "unauthenticated")
	f.want("no signature, with one", unsigned, 1, "unauthenticated")
	// Attack: sign with what everybody knows of the issuer's key.
	secret := part(alice, 0, object{"alg": "HS256", "kid": claimsOf(t, alice, 0)["kid"]})
	secret = secret[:strings.LastIndex(secret, ".")]
	mac := hmac.New(sha256.New, []byte(fmt.Sprint(claimsOf(t, alice, 0)["kid"])))
	mac.Write([]byte(secret))
	f.want("a shared secret", secret+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), 1, "unauthenticated")
	// Attack: add a group to a token.
	more := claimsOf(t, carol, 1)
	more["groups"] = []string{"gate-admins"}
	f.want("claims that were altered", part(carol, 1, more), 1, "unauthenticated")
	f.want("no token at all", "x", 1, "unauthenticated")
	f.want("an administrator, after all that", alice, 1, "let in")
}

// TestKeysOfDexRotate follows new keys, and those that are withdrawn, without a restart.
func TestKeysOfDexRotate(t *testing.T) {
	d := startDex(t)
	f := gated(t, d)
	old, unseen := d.login("alice", "decision-gate"), d.login("alice", "decision-gate") // of which the host remembers nothing
	f.want("before", old, 1, "let in")
	d.control("rotate", nil)
	fresh := d.login("alice", "decision-gate")
	if part(old, 0, nil) == part(fresh, 0, nil) {
		t.Fatal("dex has not rotated its keys")
	}
	time.Sleep(200 * time.Millisecond) // the pause between two fetches
	f.want("the new key", fresh, 1, "let in")
	f.want("the old key, for tokens that are out", old, 1, "let in")
	d.control("withdraw", nil)
	time.Sleep(1100 * time.Millisecond) // the age at which keys are fetched again
	f.want("the old key, withdrawn", unseen, 1, "unauthenticated")
	f.want("the new key, still", fresh, 1, "let in")
	if f.Host.Plugins()[2].Restarts != 0 {
		t.Error("the plugin was restarted")
	}
}

// TestAuthPluginAway refuses callers while the plugin is killed or hangs, does not take them for callers of this machine, and
// lets them in again.
func TestAuthPluginAway(t *testing.T) {
	d := startDex(t)
	f := gated(t, d)
	const index = 2 // in the order of the configuration
	pid := func() int { return f.Host.Plugins()[index].PID }
	if got := f.said("/rpc", d.login("alice", "decision-gate"), 1); got != "let in" {
		t.Fatal(got)
	}
	hung := pid()
	// Attack: have the plugin hang, and be let in meanwhile. Each token is new: none is remembered.
	if err := stopped(hung); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resumed(hung) }()
	began := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		token := d.login("alice", "decision-gate")
		for _, surface := range surfaces {
			wg.Go(func() {
				// Whether it is asked before the host has the plugin killed and replaced is chance; that it is not let in wrongly is not.
				if got := f.said(surface, token, 2); got != "unavailable" && got != "unauthorized" {
					t.Errorf("while the plugin hangs, at %s: %s", surface, got)
				}
			})
		}
	}
	wg.Wait()
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("callers were refused after %s", took)
	}
	waitFor(t, "the plugin to be replaced", func() bool { p := pid(); return p != 0 && p != hung })
	waitFor(t, "a caller to be let in", func() bool { return f.said("/mcp", d.login("alice", "decision-gate"), 1) == "let in" })

	// Attack: kill the plugin until it is not restarted any more, and be taken for a caller of this machine.
	killed := 0
	waitFor(t, "the restarts to be spent", func() bool {
		if p := pid(); p != 0 && p != killed {
			killed = p
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
		return strings.Contains(f.Host.Plugins()[index].Reason, "restarted too often")
	})
	token := d.login("alice", "decision-gate")
	f.want("without the plugin", token, 1, "unavailable")
	f.want("without the plugin, what is no token", "x", 1, "unavailable")
	if got := readiness(t, f); !strings.HasPrefix(got, "503 ") {
		t.Error(got)
	}
	waitFor(t, "the plugin to be back", func() bool { return f.Host.Plugins()[index].State == "ready" })
	f.want("once it is back", token, 1, "let in")
}

// TestAuthPluginReloaded: a role that is taken out of the plugin's settings counts no more once they are reloaded, though the
// host remembers who showed the token.
func TestAuthPluginReloaded(t *testing.T) {
	d := startDex(t)
	f := gated(t, d)
	alice := d.login("alice", "decision-gate")
	f.want("before", alice, 1, "let in")
	settings, err := config.Load(writeConfig(t, f.Dir, strings.Replace(gatedHCL(t, d), "gate-admins", "gate-owners", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Host.Reload(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	f.want("after", alice, 1, "unauthorized")
}
