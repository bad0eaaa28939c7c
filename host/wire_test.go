package host_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// wireCase is a recorded HTTP exchange. In what is expected "$ANY" matches anything, and a header that is null is absent.
type wireCase struct {
	Name    string
	Config  string // that it was recorded with
	Request struct {
		Method, Path string
		Headers      map[string]any
		Body         *string
		BodyB64      string `json:"body_b64"`
	}
	Expect struct {
		Status  int
		Headers map[string]*string
		Body    any
	}
}

// send writes the request byte by byte as it was recorded, which net/http would clean up.
func (c *wireCase) send(t *testing.T, address string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var body []byte
	if c.Request.Body != nil {
		body = []byte(*c.Request.Body)
	} else if c.Request.BodyB64 != "" {
		if body, err = base64.StdEncoding.DecodeString(c.Request.BodyB64); err != nil {
			t.Fatal(err)
		}
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\n", c.Request.Method, c.Request.Path)
	if _, given := c.Request.Headers["Host"]; !given {
		fmt.Fprintf(&raw, "Host: %s\r\n", address)
	}
	framed := false
	for name, value := range c.Request.Headers {
		values, ok := value.([]any)
		if !ok {
			values = []any{value}
		}
		for _, v := range values {
			// Each character of a recorded header is one byte.
			line := []byte{}
			for _, r := range fmt.Sprint(v) {
				line = append(line, byte(r))
			}
			fmt.Fprintf(&raw, "%s: %s\r\n", name, line)
		}
		framed = framed || strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding")
	}
	if !framed && (body != nil || c.Request.Method == http.MethodPost) {
		fmt.Fprintf(&raw, "Content-Length: %d\r\n", len(body))
	}
	raw.WriteString("Connection: close\r\n\r\n")
	raw.Write(body)
	if _, err := conn.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.Request.Method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, answer
}

func matches(want, got any) bool {
	switch w := want.(type) {
	case string:
		return w == "$ANY" || w == got
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for name, value := range w {
			if other, there := g[name]; !there || !matches(value, other) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !matches(w[i], g[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(want, got)
	}
}

// oneSchema leaves out the second name of the schemas of tools, which stock MCP clients read.
func oneSchema(body any) {
	object, _ := body.(map[string]any)
	result, _ := object["result"].(map[string]any)
	tools, _ := result["tools"].([]any)
	for _, tool := range tools {
		delete(tool.(map[string]any), "inputSchema")
	}
}

// freeMessage puts "$ANY" for a message whose words are free.
func freeMessage(body any) any {
	object, _ := body.(map[string]any)
	failure, _ := object["error"].(map[string]any)
	message, _ := failure["message"].(string)
	told := message == "invalid tool params" || strings.Contains(message, "uri")
	if failure["code"] == float64(-32602) && !told {
		failure["message"] = "$ANY"
	}
	return body
}

// deviation is why an answer is another than the recorded one. Its code is that of an error of JSON-RPC, 0 where it is a result.
type deviation struct {
	status, code int
	why          string
}

// decided are the recorded exchanges that this host answers otherwise, on purpose.
var decided = map[string]deviation{
	"envelope/positional-4":                       {400, -32600, "positional forms are refused [P-22]"},
	"tools-call/positional":                       {400, -32602, "positional forms are refused [P-22]"},
	"arguments/array":                             {400, -32602, "positional forms are refused [P-22]"},
	"tools-call/arguments-empty-array":            {400, -32602, "positional forms are refused [P-22]"},
	"http/text-plain":                             {415, -32600, "a page of another site can send text/plain unasked"},
	"http/xml":                                    {415, -32600, "a page of another site can send it unasked"},
	"http/origin-ignored":                         {403, -32003, "a page of another origin may not drive a host on loopback"},
	"http/foreign-host":                           {403, -32003, "a name that was rebound to loopback is not this host"},
	"http/POST-/mcp":                              {400, -32700, "the standard surface answers there"},
	"acl/SchemaManager-production-register":       {403, -32003, "an unknown policy class is never less than prod"},
	"acl/scope-t1-list-1-1":                       {200, 0, "what an unknown policy class would have registered is not there"},
	"limit/over-max":                              {413, -32070, "a refused body is answered like any call"},
	"limit/over-max-beats-correlation":            {413, -32070, "a refused body is answered like any call"},
	"limit/over-max-valid-correlation-not-echoed": {413, -32070, "a refused body is answered like any call"},
	"ratelimit/subject-key-1":                     {429, -32071, unverified},
	"ratelimit/bearer-key-1-unverified":           {429, -32071, unverified},
	"ratelimit/bearer-key-2-wins-over-subject":    {429, -32071, unverified},
	"ratelimit/subject-key-2":                     {429, -32071, unverified},
	"ratelimit/key-4":                             {429, -32071, unverified},
	"ratelimit/key-5-still-admitted":              {429, -32071, unverified},
	"ratelimit/key-6-table-full":                  {429, -32071, unverified},
	"ratelimit/known-key-table-full":              {429, -32071, unverified},
	"ratelimit/table-full-good-token":             {400, -32601, "a full table keeps nobody out"},
	"sse/oversize":                                {413, -32070, "a refused body is answered like any call"},
}

const unverified = "what is not verified has no count of its own: the caller is counted by its address"

// TestRecordedExchanges sends recorded HTTP requests byte for byte and compares status, headers and body: one host for each
// configuration, imported, in the order of the recording.
func TestRecordedExchanges(t *testing.T) {
	var setups []recordedSetup
	cases := map[string][]wireCase{}
	readLines(t, filepath.Join("testdata", "wire_cases.jsonl"), func(n int, raw []byte) {
		var setup recordedSetup
		var c wireCase
		if err := json.Unmarshal(raw, &setup); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if setup.ConfigName != "" {
			setups = append(setups, setup)
			return
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		cases[c.Config] = append(cases[c.Config], c)
	})
	plugins(t) // before many ask at once
	played, names := 0, map[string]bool{}
	for _, setup := range setups {
		played += len(cases[setup.ConfigName])
		for _, c := range cases[setup.ConfigName] {
			names[c.Name] = true
		}
	}
	if played != 464 {
		t.Errorf("%d exchanges are played", played)
	}
	for name := range decided {
		if !names[name] {
			t.Errorf("no exchange is called %s", name)
		}
	}
	for _, setup := range setups {
		t.Run(setup.ConfigName, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f := openWith(t, dir, imported(t, dir, listening(t, setup.Config)))
			for _, c := range cases[setup.ConfigName] {
				t.Run(c.Name, func(t *testing.T) { c.check(t, strings.TrimPrefix(f.URL, "http://")) })
			}
		})
	}
}

// accepted reads the answer as clients do, where /rpc gave it.
func (c *wireCase) accepted(response *http.Response, body []byte) error {
	if c.Request.Method != http.MethodPost || c.Request.Path != "/rpc" {
		return nil
	}
	result, err := acceptedByClients(response.StatusCode, response.Header.Get("Content-Type"), body)
	if err != nil || result == nil {
		return err
	}
	var asked struct {
		Method string
		Params struct{ Name string }
	}
	if c.Request.Body != nil {
		_ = json.Unmarshal([]byte(*c.Request.Body), &asked) // what was served can be read
	}
	switch asked.Method {
	case "tools/list":
		return toolList(result)
	case "tools/call":
		told, err := toolResult(result)
		if err != nil {
			return err
		}
		return validated(asked.Params.Name, told)
	}
	return nil
}

// check sends the exchange to a host and compares what comes back with what was recorded, or decided.
func (c *wireCase) check(t *testing.T, address string) {
	t.Helper()
	other, changed := decided[c.Name]
	if changed {
		c.Expect.Status, c.Expect.Headers, c.Expect.Body = other.status, nil, nil
	}
	response, body := c.send(t, address)
	if changed {
		var answer struct{ Error struct{ Code int } }
		if err := json.Unmarshal(body, &answer); err != nil || answer.Error.Code != other.code {
			t.Errorf("%v, code %d, want %d: %.300s", err, answer.Error.Code, other.code, body)
		}
	}
	if err := c.accepted(response, body); err != nil {
		t.Errorf("no client takes it: %v", err)
	}
	if response.StatusCode != c.Expect.Status {
		t.Errorf("status %d, want %d: %.300s", response.StatusCode, c.Expect.Status, body)
	}
	for name, want := range c.Expect.Headers {
		got, there := response.Header[http.CanonicalHeaderKey(name)]
		if want == nil && there || want != nil && (!there || *want != "$ANY" && got[0] != *want) {
			t.Errorf("header %s is %q, want %v", name, got, want)
		}
	}
	if c.Expect.Body == nil {
		return
	}
	var got any
	if text, ok := c.Expect.Body.(string); ok && text == string(body) {
		return
	}
	_ = json.Unmarshal(body, &got)
	oneSchema(got)
	if !matches(freeMessage(c.Expect.Body), got) {
		want, _ := json.Marshal(c.Expect.Body)
		t.Errorf("body\n got %.600s\nwant %.600s", body, want)
	}
}
