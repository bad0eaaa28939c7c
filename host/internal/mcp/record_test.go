package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/ratelimit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// auditRig is a server with an audit log that is kept.
type auditRig struct {
	*rig
	lines *safeLog
	seen  int
}

func newAuditRig(t *testing.T, change ...func(*Config)) *auditRig {
	t.Helper()
	lines := &safeLog{}
	r := &auditRig{lines: lines}
	r.rig = newRig(t, append([]func(*Config){func(c *Config) { c.Audit = audit.New(lines) }}, change...)...)
	return r
}

// exchange is what went over the wire: the sizes of the message and of its answer.
type exchanged struct{ sent, answered int }

func (r *auditRig) post(path, body string, change ...func(*http.Request)) exchanged {
	r.t.Helper()
	request := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	request.RemoteAddr = "127.0.0.1:1"
	request.Header.Set("Content-Type", "application/json")
	if path == standardPath {
		request.Header.Set("Accept", "application/json, text/event-stream")
		request.Header.Set("MCP-Protocol-Version", "2025-11-25")
	}
	for _, f := range change {
		f(request)
	}
	_, answer := r.http(request)
	if text, isEvent := strings.CutPrefix(answer, "data: "); isEvent {
		answer = strings.TrimSuffix(text, "\n\n")
	}
	return exchanged{len(body), len(answer)}
}

func (r *auditRig) frame(body string) exchanged {
	r.t.Helper()
	answers, err := r.frames(frameOf(body))
	if err != nil || len(answers) != 1 {
		r.t.Fatalf("%q, %v", answers, err)
	}
	return exchanged{len(body), len(answers[0])}
}

func (r *auditRig) line(body string) exchanged {
	r.t.Helper()
	var out bytes.Buffer
	if err := r.ServeStdio(context.Background(), strings.NewReader(body+"\n"), &out); err != nil {
		r.t.Fatal(err)
	}
	return exchanged{len(body), len(bytes.TrimSuffix(out.Bytes(), []byte("\n")))}
}

// fresh are the lines since it was called last.
func (r *auditRig) fresh() string {
	all := r.lines.String()
	fresh := all[r.seen:]
	r.seen = len(all)
	return fresh
}

var (
	timestamps = regexp.MustCompile(`"timestamp_ms":[0-9]{13}`)
	serverIDs  = regexp.MustCompile(`dg-[0-9a-f]{16}-[0-9a-f]{16}`)
)

// settled are the lines of one exchange without what differs between runs. Sizes that are those of the wire are named so.
func settled(t *testing.T, lines string, e exchanged) string {
	t.Helper()
	ids := map[string]bool{}
	for _, id := range serverIDs.FindAllString(lines, -1) {
		ids[id] = true
	}
	if len(ids) > 1 {
		t.Errorf("the lines of one request have the ids %v", ids)
	}
	lines = serverIDs.ReplaceAllString(timestamps.ReplaceAllString(lines, `"timestamp_ms":TIME`), "dg-ID")
	sizes := fmt.Sprintf(`"request_bytes":%d,"response_bytes":%d,`, e.sent, e.answered)
	if unread := fmt.Sprintf(`"request_bytes":0,"response_bytes":%d,`, e.answered); e.sent > 0 {
		lines = strings.Replace(lines, unread, `"request_bytes":0,"response_bytes":ANSWERED,`, 1)
	}
	return strings.Replace(lines, sizes, `"request_bytes":SENT,"response_bytes":ANSWERED,`, 1)
}

const (
	tokenSecret   = "t0ken-that-nobody-may-see"
	payloadSecret = "p4yload-that-nobody-may-see"
	shapeText     = `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"sch","version":"1","schema":{"type":"object","properties":{"past":{"type":"boolean"}}},"created_at":{"kind":"logical","value":1}}}`
	precheckText  = `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","stage_id":null,"data_shape":{"schema_id":"sch","version":"1"},"payload":{"past":true,"note":"` + payloadSecret + `"}}`
	evidenceText  = `{"query":{"provider_id":"env","check_id":"get","params":{"key":"DEPLOY_ENV"}},"context":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":1}}}`
	startText     = `{"scenario_id":"s","run_config":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

// TestLinesOfRequests compares the audit lines of requests of all kinds, on every transport and surface.
func TestLinesOfRequests(t *testing.T) {
	local := newAuditRig(t)
	hidden := newAuditRig(t, func(c *Config) { c.Tools = ToolRule{Deny: []string{"precheck"}}; c.Docs.Resources = false })
	payloads := newAuditRig(t, func(c *Config) { c.AuditPayloads = true })
	events := newAuditRig(t, func(c *Config) { c.EventStream = true; c.Security.Development = true })
	limited := newAuditRig(t, func(c *Config) {
		c.Limiter = ratelimit.New(ratelimit.Options{MaxRequests: 1, Window: time.Hour, MaxEntries: 4})
	})
	limited.post(rpcPath, listTools)
	limited.frame(listTools)
	limited.fresh()
	full := newAuditRig(t, func(c *Config) { c.MaxInflight = 0 })
	callers := newAuditRig(t, func(c *Config) {
		c.Access = access.New(access.Options{
			Tokens: []string{tokenSecret}, Subjects: []string{"CN=alice"}, Proxy: access.Loopback, Tools: []string{"schemas_list", "scenario_start"},
			Principals: []access.Entry{{ID: "mtls:CN=alice", PolicyClass: "project", Roles: []access.Role{{Name: "NamespaceReader", Tenant: 1}, {Name: "Custom", Tenant: 9}}}},
		})
	})
	call := func(r *auditRig, tool, arguments string, change ...func(*http.Request)) func() exchanged {
		return func() exchanged { return r.post(rpcPath, callText(tool, arguments), change...) }
	}
	raw := func(r *auditRig, path, body string, change ...func(*http.Request)) func() exchanged {
		return func() exchanged { return r.post(path, body, change...) }
	}
	var got strings.Builder
	for _, test := range []struct {
		name string
		rig  *auditRig
		send func() exchanged
	}{
		{"tools/list", local, raw(local, rpcPath, listTools)},
		{"a correlation id", local, raw(local, rpcPath, listTools, header("X-Correlation-Id", " build-77 "))},
		{"an id that is text", local, raw(local, rpcPath, `{"jsonrpc":"2.0","id":"q-9","method":"resources/list"}`)},
		{"resources/read", local, raw(local, rpcPath, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"decision-gate://docs/none"}}`)},
		{"resources/read of no uri", local, raw(local, rpcPath, `{"jsonrpc":"2.0","id":1,"method":"resources/read"}`)},
		{"define", local, call(local, "scenario_define", `{"spec":`+specText("s", "1")+`}`)},
		{"define without a tenant", local, call(local, "scenario_define", `{"spec":`+specText("t", "null")+`}`)},
		{"start", local, call(local, "scenario_start", startText)},
		{"start again", local, call(local, "scenario_start", startText)},
		{"next", local, call(local, "scenario_next", nextText("s", "r", "t", ""))},
		{"evidence", local, call(local, "evidence_query", evidenceText)},
		{"register", local, call(local, "schemas_register", shapeText)},
		{"list shapes", local, call(local, "schemas_list", `{"tenant_id":1,"namespace_id":1}`)},
		{"get a shape", local, call(local, "schemas_get", `{"tenant_id":1,"namespace_id":1,"schema_id":"sch","version":"1"}`)},
		{"precheck", local, call(local, "precheck", precheckText)},
		{"precheck that fails", local, call(local, "precheck", strings.Replace(precheckText, `"sch"`, `"none"`, 1))},
		{"export", local, call(local, "runpack_export", `{"scenario_id":"s","tenant_id":1,"namespace_id":1,"run_id":"r","generated_at":{"kind":"logical","value":1},"include_verification":false}`)},
		{"verify", local, call(local, "runpack_verify", `{"runpack_dir":"/absent","manifest_path":"m.json"}`)},
		{"providers", local, call(local, "providers_list", `{}`)},
		{"a namespace that is refused", local, call(local, "scenario_start", strings.Replace(startText, `"tenant_id":1`, `"tenant_id":2`, 1))},
		{"arguments that cannot be read", local, call(local, "scenario_start", `{}`)},
		{"no tool params", local, raw(local, rpcPath, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"precheck"}}`)},
		{"unknown tool", local, call(local, "scenario_delete", `{}`)},
		{"hidden tool", hidden, call(hidden, "precheck", `{}`)},
		{"resources that are off", hidden, raw(hidden, rpcPath, `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`)},
		{"unknown method", local, raw(local, rpcPath, `{"jsonrpc":"2.0","id":1,"method":"initialize"}`)},
		{"wrong version", local, raw(local, rpcPath, `{"jsonrpc":"1.0","id":5,"method":"tools/list"}`)},
		{"no JSON", local, raw(local, rpcPath, `{"jsonrpc":`)},
		{"invalid correlation id", local, raw(local, rpcPath, listTools, header("X-Correlation-Id", "a b"))},
		{"too large, as it says", local, raw(local, rpcPath, strings.Repeat(" ", testMaxBody+1))},
		{"too large, in chunks", local, raw(local, rpcPath, strings.Repeat(" ", testMaxBody+1), func(r *http.Request) { r.ContentLength = -1 })},
		{"no JSON content", local, raw(local, rpcPath, listTools, header("Content-Type", "text/plain"))},
		{"another host", local, raw(local, rpcPath, listTools, func(r *http.Request) { r.Host = "evil.example" })},
		{"health", local, func() exchanged {
			request := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080/readyz", nil)
			_, body := local.http(request)
			return exchanged{0, len(body)}
		}},
		{"too often", limited, raw(limited, rpcPath, listTools)},
		{"frames: too often", limited, func() exchanged { return limited.frame(listTools) }},
		{"lines: too often", limited, func() exchanged { return limited.line(listTools) }},
		{"mcp: too often", limited, raw(limited, standardPath, listTools)},
		{"overloaded", full, raw(full, rpcPath, listTools)},
		{"another machine", local, call(local, "precheck", precheckText, from("192.0.2.1:7"))},
		{"payloads: define", payloads, call(payloads, "scenario_define", `{"spec":`+specText("s", "1")+`}`)},
		{"payloads: register", payloads, call(payloads, "schemas_register", shapeText)},
		{"payloads: precheck", payloads, call(payloads, "precheck", strings.Replace(precheckText, payloadSecret, "shown", 1))},
		{"events", events, raw(events, rpcPath, listTools)},
		{"events: no JSON", events, raw(events, rpcPath, `[]`)},
		{"events: invalid correlation id", events, raw(events, rpcPath, `[]`, header("X-Correlation-Id", " "))},
		{"no token", callers, raw(callers, rpcPath, listTools)},
		{"a wrong token", callers, raw(callers, rpcPath, listTools, header("Authorization", "Bearer x"+tokenSecret))},
		{"a token", callers, raw(callers, rpcPath, listTools, header("Authorization", "Bearer "+tokenSecret))},
		{"a token for a tool", callers, call(callers, "precheck", precheckText, header("Authorization", "Bearer "+tokenSecret))},
		{"a token without a role", callers, call(callers, "schemas_list", `{"tenant_id":1,"namespace_id":1}`, header("Authorization", "Bearer "+tokenSecret))},
		{"a proxy's client", callers, call(callers, "schemas_list", `{"tenant_id":1,"namespace_id":1}`, header("X-Decision-Gate-Client-Subject", "CN=alice"))},
		{"a subject from anywhere", callers, raw(callers, rpcPath, listTools, header("X-Decision-Gate-Client-Subject", "CN=alice"), from("[2001:db8::1]:7"))},
		{"a token beside a subject", callers, raw(callers, rpcPath, listTools, header("Authorization", "Bearer "+tokenSecret), header("X-Decision-Gate-Client-Subject", "CN=alice"), from("[2001:db8::1]:7"))},

		{"frames: tools/list", local, func() exchanged { return local.frame(listTools) }},
		{"frames: call", local, func() exchanged { return local.frame(callText("scenario_next", nextText("s", "r", "t", ""))) }},
		{"frames: no JSON", local, func() exchanged { return local.frame(`x`) }},

		{"mcp: initialize", local, raw(local, standardPath, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)},
		{"mcp: notification", local, raw(local, standardPath, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)},
		{"mcp: tools/list", local, raw(local, standardPath, listTools, header("X-Correlation-Id", "build-77"))},
		{"mcp: call", local, raw(local, standardPath, standardCall("scenario_next", nextText("s", "r", "t", "")))},
		{"mcp: evidence", local, raw(local, standardPath, standardCall("evidence_query", evidenceText))},
		{"mcp: call that fails", local, raw(local, standardPath, standardCall("scenario_next", nextText("none", "r", "t", "")))},
		{"mcp: unknown tool", local, raw(local, standardPath, standardCall("none", `{}`))},
		{"mcp: resources/list", local, raw(local, standardPath, `{"jsonrpc":"2.0","id":"a","method":"resources/list"}`)},
		{"mcp: unknown method", local, raw(local, standardPath, `{"jsonrpc":"2.0","id":1,"method":"none"}`)},
		{"mcp: no JSON", local, raw(local, standardPath, `{`)},
		{"mcp: nothing accepted", local, raw(local, standardPath, listTools, header("Accept", "text/plain"))},
		{"mcp: unknown revision", local, raw(local, standardPath, listTools, header("MCP-Protocol-Version", "1999-01-01"))},
		{"mcp: too large", local, raw(local, standardPath, strings.Repeat(" ", testMaxBody+1))},
		{"mcp: another host", local, raw(local, standardPath, listTools, func(r *http.Request) { r.Host = "evil.example" })},
		{"mcp: no token", callers, raw(callers, standardPath, listTools)},
		{"mcp: a token for a tool", callers, raw(callers, standardPath, standardCall("precheck", precheckText), header("Authorization", "Bearer "+tokenSecret))},

		{"lines: tools/list", local, func() exchanged { return local.line(listTools) }},
		{"lines: call", local, func() exchanged { return local.line(standardCall("scenario_next", nextText("s", "r", "t", ""))) }},
		{"lines: notification", local, func() exchanged { return local.line(`{"jsonrpc":"2.0","method":"notifications/initialized"}`) }},
		{"lines: no JSON", local, func() exchanged { return local.line(`{`) }},
	} {
		e := test.send()
		fmt.Fprintf(&got, "== %s\n%s", test.name, settled(t, test.rig.fresh(), e))
	}
	for _, secret := range []string{tokenSecret, payloadSecret, "production", "evil.example"} {
		if strings.Contains(got.String(), secret) {
			t.Errorf("the lines hold %s", secret)
		}
	}
	path := filepath.Join("testdata", "audit.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compareLines(t, string(want), got.String())
}

// compareLines reports the lines that differ.
func compareLines(t *testing.T, want, got string) {
	t.Helper()
	wanted, found := strings.Split(want, "\n"), strings.Split(got, "\n")
	name := ""
	for i := range max(len(wanted), len(found)) {
		w, f := "", ""
		if i < len(wanted) {
			w = wanted[i]
		}
		if i < len(found) {
			f = found[i]
		}
		if strings.HasPrefix(f, "==") {
			name = f
		}
		if w != f {
			t.Errorf("line %d, %s:\n got %s\nwant %s", i+1, name, f, w)
			if strings.HasPrefix(w, "==") != strings.HasPrefix(f, "==") {
				return // the rest is shifted
			}
		}
	}
}

// fullDisk is a sink that is full while it is told to be.
type fullDisk struct {
	safeLog
	full bool
	mu   sync.Mutex
}

func (d *fullDisk) set(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *fullDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.full {
		return d.safeLog.Write(p)
	}
	n, _ := d.safeLog.Write(p[:len(p)/2]) // as a disk, which takes what fits
	return n, syscall.ENOSPC
}

// TestUnrecordedIsUnanswered fills the disk of the audit log: the call in flight is told to have failed, nothing is done after
// it, and once there is room nothing is missing. It must not be possible to act unseen by filling a disk.
func TestUnrecordedIsUnanswered(t *testing.T) {
	for name, ask := range map[string]func(r *rig, tool, arguments string) string{
		"rpc": func(r *rig, tool, arguments string) string {
			_, body := r.http(post(callText(tool, arguments)))
			return body
		},
		"mcp": func(r *rig, tool, arguments string) string {
			_, body := r.standardPost(standardCall(tool, arguments))
			return body
		},
		"frames": func(r *rig, tool, arguments string) string {
			answers, _ := r.frames(frameOf(callText(tool, arguments)))
			return strings.Join(answers, "")
		},
		"lines": func(r *rig, tool, arguments string) string {
			var out bytes.Buffer
			_ = r.ServeStdio(context.Background(), strings.NewReader(standardCall(tool, arguments)+"\n"), &out)
			return out.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := &fullDisk{}
			r := newRig(t, func(c *Config) { c.Audit = audit.New(disk) })
			r.startRun("s", "r")
			disk.set(true)
			unanswered := func(trigger string) {
				t.Helper()
				body := ask(r, "scenario_next", nextText("s", "r", trigger, ""))
				if !strings.Contains(body, errUnaudited.Message) || strings.Contains(body, `"decision"`) || strings.Contains(body, "ENOSPC") || strings.Contains(body, "no space") {
					t.Errorf("the answer is %s", body)
				}
			}
			unanswered("in-flight")
			before := r.store.Len("run_triggers")
			unanswered("after")
			for _, body := range []string{"{", listTools, `{"jsonrpc":"2.0","id":1,"method":"x"}`} {
				if _, answer := r.http(post(body)); !strings.Contains(answer, errUnaudited.Message) {
					t.Errorf("%s is answered %s", body, answer)
				}
			}
			if n := r.store.Len("run_triggers"); before != 1 || n != before {
				t.Errorf("%d triggers are recorded, then %d", before, n)
			}
			if r.Audit.Ready() == nil {
				t.Error("the host is ready")
			}
			if n := strings.Count(r.log.String(), "the audit log cannot be written"); n != 1 {
				t.Errorf("the log says %d times that the audit log cannot be written", n)
			}
			disk.set(false)
			if body := ask(r, "scenario_next", nextText("s", "r", "in-flight", "")); !strings.Contains(body, "decision-1") {
				t.Errorf("with room, the answer is %s", body)
			}
			if !strings.Contains(r.log.String(), "the audit log is written again") {
				t.Error("the log does not say that it is over")
			}
			next := 0
			for line := range strings.Lines(disk.String()) {
				var e struct{ Event, Tool, Outcome string }
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatalf("%v in %q", err, line)
				}
				if e.Event == "mcp_request" && e.Tool == "scenario_next" && e.Outcome == "Ok" {
					next++
				}
			}
			if next != 2 {
				t.Errorf("%d calls are recorded, want that in flight and the last", next)
			}
		})
	}
}

// TestRecordedTogether has many clients call at once: the lines of a request follow one another.
func TestRecordedTogether(t *testing.T) {
	r := newAuditRig(t, func(c *Config) { c.MaxInflight = 64 })
	r.startRun("s", "r")
	r.fresh()
	const clients, calls = 8, 20
	var calling sync.WaitGroup
	for i := range clients {
		calling.Go(func() {
			for j := range calls {
				path := rpcPath
				if j%2 == 0 {
					path = standardPath
				}
				r.post(path, callText("scenario_next", nextText("s", "r", fmt.Sprintf("t-%d-%d", i, j), "")))
			}
		})
	}
	calling.Wait()
	events := []string{"mcp_tool_authz", "tenant_authz", "usage_audit", "mcp_request"}
	id, n := "", 0
	lines := bufio.NewScanner(strings.NewReader(r.fresh()))
	for ; lines.Scan(); n++ {
		var e struct {
			Event string
			ID    string `json:"server_correlation_id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %q", err, lines.Text())
		}
		if n%len(events) == 0 {
			id = e.ID
		}
		if e.Event != events[n%len(events)] || e.ID != id {
			t.Fatalf("line %d is %s", n, lines.Text())
		}
	}
	if n != clients*calls*len(events) {
		t.Errorf("%d lines", n)
	}
}

// TestPanicIsRecorded: what a request did before it panicked must not go unseen.
func TestPanicIsRecorded(t *testing.T) {
	r := newAuditRig(t)
	r.tools["scenario_next"] = nil
	r.post(rpcPath, callText("scenario_next", `{}`))
	if lines := r.fresh(); !strings.Contains(lines, `"outcome":"Error","error_code":-32050,"error_kind":"internal"`) {
		t.Errorf("recorded is %s", lines)
	}
}

// TestLongNamesAreCut: a request has several lines, each with names that its sender chose.
func TestLongNamesAreCut(t *testing.T) {
	r := newAuditRig(t)
	long := strings.Repeat("x", testMaxBody/4)
	r.post(rpcPath, strings.Replace(callText("schemas_get", `{"tenant_id":1,"namespace_id":1,"schema_id":"`+long+`","version":"`+long+`"}`), `"id":7`, `"id":"`+long+`"`, 1))
	lines := strings.SplitAfter(r.fresh(), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines", len(lines)-1)
	}
	for _, line := range lines {
		if len(line) > 4*maxMessage {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}
