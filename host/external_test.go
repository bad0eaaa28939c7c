package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// externalSetup is the first lines of the recording with providers outside the host: what it was recorded with.
type externalSetup struct {
	ConfigName string `json:"config_name"`
	Settings   struct {
		Providers []recordedProvider
		Trust     struct {
			DefaultPolicy *recordedTrust `json:"default_policy"`
		}
		Evidence struct {
			AllowRawValues bool `json:"allow_raw_values"`
		}
		Anchors struct {
			Providers []struct {
				ProviderID     string   `json:"provider_id"`
				AnchorType     string   `json:"anchor_type"`
				RequiredFields []string `json:"required_fields"`
			}
		}
	}
	Files map[string]string
	Stub  map[string]stubPage
}

type recordedProvider struct {
	Name, Type, URL string
	Capabilities    string `json:"capabilities_path"`
	Trust           string
	Timeouts        struct {
		Connect int `json:"connect_timeout_ms"`
		Request int `json:"request_timeout_ms"`
	}
}

type recordedTrust struct {
	RequireSignature struct{ Keys []string } `json:"require_signature"`
}

// stubPage is what a recorded provider answers: pad is blanks after the body, length what it says its length is.
type stubPage struct {
	webPage
	Pad, Length int
}

// externalHCL is the configuration of a recording. The canned providers send back the id 1, or none.
func externalHCL(s *externalSetup) string {
	var b strings.Builder
	b.WriteString(recordedPlugin + recordedNamespace + recordedCaller)
	for _, p := range s.Settings.Providers {
		if p.Type == "builtin" {
			b.WriteString(externalBuiltin(&p))
			continue
		}
		fmt.Fprintf(&b, "evidence \"mcp\" %q {\n  url = %q\n  allow_http = true\n  any_response_id = true\n  capabilities = %q\n", p.Name, p.URL, p.Capabilities)
		if p.Timeouts.Connect != 0 {
			fmt.Fprintf(&b, "  connect_timeout = \"%dms\"\n  request_timeout = \"%dms\"\n", p.Timeouts.Connect, p.Timeouts.Request)
		}
		b.WriteString("}\n")
	}
	if t := s.Settings.Trust.DefaultPolicy; t != nil {
		fmt.Fprintf(&b, "trust {\n  signatures { keys = %s }\n}\n", list(t.RequireSignature.Keys))
	}
	for _, a := range s.Settings.Anchors.Providers {
		fmt.Fprintf(&b, "anchors %q {\n  type = %q\n  required_fields = %s\n}\n", a.ProviderID, a.AnchorType, list(a.RequiredFields))
	}
	if s.Settings.Evidence.AllowRawValues {
		b.WriteString(withRaw)
	}
	return b.String()
}

// list is a list of strings in HCL, which writes it as JSON does.
func list(items []string) string {
	text, _ := json.Marshal(items)
	return string(text)
}

// externalBuiltin is a built-in provider beside those of the recording; their settings make no difference to it.
func externalBuiltin(p *recordedProvider) string {
	settings := map[string]string{"json": `root = "ev"
  root_id = "ev"`, "env": `values = { A = "alpha" }`}[p.Name]
	if p.Trust == "audit" {
		settings += "\n  accept_unsigned = true"
	}
	return fmt.Sprintf("evidence %q {\n  %s\n}\n", p.Name, settings)
}

// stubServer answers with the pages of a recording. What it is asked must be a question in the form of mcp contract §5.1.
func stubServer(t *testing.T, pages map[string]stubPage, fill func(string) string) string {
	mux := http.NewServeMux()
	for path, page := range pages {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			// The http provider gets pages, too.
			if problem := notAQuestion(r); r.Method != http.MethodGet && problem != "" {
				t.Errorf("%s was asked wrong: %s", path, problem)
			}
			select {
			case <-time.After(time.Duration(page.Delay * float64(time.Second))):
			case <-r.Context().Done():
				return
			}
			for name, value := range page.Headers {
				w.Header().Set(name, value)
			}
			if page.Length > 0 {
				w.Header().Set("Content-Length", fmt.Sprint(page.Length))
			}
			w.WriteHeader(page.Status)
			_, _ = w.Write([]byte(fill(page.Body) + strings.Repeat(" ", page.Pad)))
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func notAQuestion(r *http.Request) string {
	var q struct {
		JSONRPC string
		ID      json.RawMessage
		Method  string
		Params  struct {
			Name      string
			Arguments struct {
				Query   map[string]any
				Context map[string]any
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return err.Error()
	}
	args := q.Params.Arguments
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || q.JSONRPC != "2.0" || len(q.ID) == 0 ||
		q.Method != "tools/call" || q.Params.Name != "evidence_query" || args.Query["provider_id"] == nil || args.Context["trigger_time"] == nil {
		return fmt.Sprintf("%s %v %+v", r.Method, r.Header, q)
	}
	return ""
}

// externalDecided are the calls that this host answers otherwise, on purpose: it follows no redirect [51].
var externalDecided = map[string]string{
	"redir":    "http request failed with status 302 Found",
	"redir307": "http request failed with status 307 Temporary Redirect",
}

// TestRecordedExternal replays what was recorded with providers outside the host: every answer of theirs, runs on them,
// anchors, signatures and discovery.
func TestRecordedExternal(t *testing.T) {
	setups := map[string]*externalSetup{}
	var sequences []toolSequence
	readLines(t, filepath.Join("testdata", "external.jsonl"), func(n int, raw []byte) {
		setup, sequence := &externalSetup{}, toolSequence{}
		if err := json.Unmarshal(raw, setup); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if setup.ConfigName != "" {
			setups[setup.ConfigName] = setup
			return
		}
		if err := json.Unmarshal(raw, &sequence); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		sequences = append(sequences, sequence)
	})
	plugins(t) // before many ask at once
	if len(setups) != 3 || len(sequences) != 19 {
		t.Fatalf("%d setups, %d sequences", len(setups), len(sequences))
	}
	for _, s := range sequences {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			replayExternal(t, setups[s.Config], s.Steps)
		})
	}
}

func replayExternal(t *testing.T, setup *externalSetup, steps []toolStep) {
	dir := t.TempDir()
	inRoot := strings.NewReplacer("$ROOT", dir)
	stub := stubServer(t, setup.Stub, inRoot.Replace)
	fill := strings.NewReplacer("$ROOT", dir, "$STUB", stub, "$OUT", filepath.Join(dir, "out"))
	r := &replay{t: t, hcl: fill.Replace(externalHCL(setup)), fill: fill}
	r.write(filepath.Join(dir, "ev", "doc.json"), `{"v": 1}`)
	for name, text := range setup.Files {
		r.write(filepath.Join(dir, name), text)
	}
	r.fixture = openWith(t, dir, r.hcl)
	decided := map[int]decidedCall{}
	for i, step := range steps {
		for provider, detail := range externalDecided {
			if strings.Contains(string(step.Arguments), fmt.Sprintf("%q", provider)) {
				decided[i] = decidedCall{status: 200}
				if got := r.call(step.Tool, step.Arguments); !strings.Contains(string(got.Result), `"evidence provider error: `+detail+`"`) {
					t.Errorf("%s: %s", provider, got.Result)
				}
			}
		}
	}
	r.run(steps, decided)
}
