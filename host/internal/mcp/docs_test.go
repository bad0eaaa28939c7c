package mcp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const listResources = `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`

func (r *rig) send(body string) answered {
	r.t.Helper()
	return decodeAnswer(r.t, r.serve(r.t.Context(), r.local(), []byte(body)).body)
}

func readText(params string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":` + params + `}`
}

// TestResources reads every document that is listed, and refuses addresses that only resemble theirs.
func TestResources(t *testing.T) {
	r := newRig(t)
	var list struct {
		Resources []struct{ URI, Name, Description, MimeType string }
	}
	if err := json.Unmarshal(r.send(listResources).Result, &list); err != nil || len(list.Resources) != 13 {
		t.Fatalf("%d documents, %v", len(list.Resources), err)
	}
	for _, d := range list.Resources {
		var read struct {
			Contents []struct{ URI, MimeType, Text string }
		}
		if err := json.Unmarshal(r.send(readText(fmt.Sprintf(`{"uri":%q}`, d.URI))).Result, &read); err != nil {
			t.Fatal(err)
		}
		if c := read.Contents; len(c) != 1 || c[0].URI != d.URI || c[0].MimeType != "text/markdown" || !strings.HasPrefix(c[0].Text, "# "+d.Name+"\n") {
			t.Errorf("%s: %+v", d.URI, read)
		}
	}
	for params, want := range map[string]string{
		`{"uri":"decision-gate://docs/../../etc/passwd"}`: "unknown resource uri: decision-gate://docs/../../etc/passwd",
		`{"uri":"decision-gate://docs/pages/clients.md"}`: "unknown resource uri: decision-gate://docs/pages/clients.md",
		`{"uri":"decision-gate://docs/Security"}`:         "unknown resource uri: decision-gate://docs/Security",
		`{"uri":"file:///etc/passwd"}`:                    "resource uri must start with decision-gate://docs/",
		`{"arguments":{"uri":null}}`:                      "resources.read requires uri",
		`{"arguments":"decision-gate://docs/security"}`:   "resources.read requires uri",
	} {
		if a := r.send(readText(params)); codeOf(a) != int(InvalidParams) || a.Error.Message != want {
			t.Errorf("%s: %+v", params, a.Error)
		}
	}
}

// TestDocsOff: what is turned off is not there, neither in the list nor when it is called; the other goes on.
func TestDocsOff(t *testing.T) {
	const search = `{"query":"trust"}`
	for _, on := range []Docs{{}, {Search: true}, {Resources: true}} {
		r := newRig(t, func(c *Config) { c.Docs.Search, c.Docs.Resources = on.Search, on.Resources })
		list := string(r.serve(t.Context(), r.local(), []byte(listTools)).body)
		if listed := strings.Contains(list, `"decision_gate_docs_search"`); listed != on.Search {
			t.Errorf("%+v: listed is %t", on, listed)
		}
		if a := r.call("decision_gate_docs_search", search); (a.Error == nil) != on.Search || !on.Search && a.Error.Message != "unknown tool" {
			t.Errorf("%+v: %+v", on, a.Error)
		}
		for _, body := range []string{listResources, readText(`{}`)} {
			a := r.send(body)
			if off := codeOf(a) == int(MethodNotFound); off == on.Resources || off && a.Error.Message != "method not found" {
				t.Errorf("%+v: %s: %+v", on, body, a.Error)
			}
		}
	}
}

// TestDocsSearch is the tool around the search: the members and their order are those that clients read.
func TestDocsSearch(t *testing.T) {
	r := newRig(t)
	got := r.must("decision_gate_docs_search", `{"query":"requirement trees","max_sections":1}`)
	const head = `{"sections":[{"rank":0,"doc_id":"ret_logic","doc_title":"Requirement Evaluation Trees (RET)","doc_role":"ontology","heading":"Requirement Evaluation Trees (RET)","content":"# Requirement Evaluation Trees (RET)\n\nRET structure`
	const tail = `"}],"docs_covered":[{"doc_id":"ret_logic","doc_title":"Requirement Evaluation Trees (RET)","doc_role":"ontology"}],"suggested_followups":["If you need`
	if !strings.HasPrefix(got, head) || !strings.Contains(got, tail) {
		t.Error(got)
	}
	if got := r.must("decision_gate_docs_search", `{"query":"zzzz"}`); got != `{"sections":[],"docs_covered":[],"suggested_followups":[]}` {
		t.Error(got)
	}
	for _, limit := range []string{"0", "11", "18446744073709551615", "null"} {
		r.must("decision_gate_docs_search", `{"query":"gate","max_sections":`+limit+`}`)
	}
}
