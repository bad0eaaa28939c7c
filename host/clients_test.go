package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The clients that users have are strict, each in its own way: the command line reads results as unions that know one kind of
// content, the SDKs tell errors apart by the HTTP status, and their validators know no other members than those published. A
// host can answer every recorded call as recorded and still lose a client on an answer that nobody recorded; so every answer
// that the tests of this package get from /rpc is read as those clients read it (mcp contract §1.9).

// clientTools are those that the command line knows; it gives up on a list with another.
var clientTools = []string{
	"scenario_define", "scenario_start", "scenario_status", "scenario_next", "scenario_submit", "scenario_trigger", "evidence_query",
	"runpack_export", "runpack_verify", "providers_list", "provider_contract_get", "provider_check_schema_get", "schemas_register",
	"schemas_list", "schemas_get", "scenarios_list", "precheck", "decision_gate_docs_search",
}

// toldByBody are the codes of errors that clients read in the body, which they do under a status of 200 only; under any other
// they show the status. The last one is raised for answers that are too large and for limits of documents.
var toldByBody = []int{-32004, -32009, -32020, -32030, -32040, -32050, -32060, -32070, -32071}

// maxClientBytes is the size of the largest answer that the command line reads.
const maxClientBytes = 16 << 20

// clientError is the error member of an answer. Pointers tell what is missing.
type clientError struct {
	Code    *int
	Message *string
	Data    *struct {
		Kind         *string
		Retryable    *bool
		RequestID    *string `json:"request_id"`
		RetryAfterMS *uint64 `json:"retry_after_ms"`
	}
}

// acceptedByClients reads an answer of /rpc, and returns the result, if it is one.
func acceptedByClients(status int, contentType string, body []byte) (result json.RawMessage, _ error) {
	if contentType == "text/event-stream" {
		event, ok := strings.CutPrefix(string(body), "data: ")
		text, whole := strings.CutSuffix(event, "\n\n")
		if !ok || !whole || strings.ContainsAny(text, "\r\n") {
			return nil, fmt.Errorf("not one event: %.200q", body)
		}
		body = []byte(text)
	} else if contentType != "application/json" {
		return nil, fmt.Errorf("Content-Type is %q", contentType)
	}
	if len(body) > maxClientBytes || !utf8.Valid(body) {
		return nil, fmt.Errorf("%d bytes, or not UTF-8", len(body))
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	var answer struct {
		Jsonrpc string
		Error   *clientError
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Jsonrpc != "2.0" {
		return nil, fmt.Errorf("jsonrpc is %q: %v", answer.Jsonrpc, err)
	}
	_, hasID := members["id"]
	result, hasResult := members["result"]
	if failed := answer.Error != nil; !hasID || len(members) != 3 || failed == hasResult {
		return nil, fmt.Errorf("members %v", members)
	}
	if answer.Error != nil {
		return nil, answer.Error.accepted(status)
	}
	if status != 200 {
		return nil, fmt.Errorf("a result under status %d", status)
	}
	return result, nil
}

func (e *clientError) accepted(status int) error {
	if e.Code == nil || e.Message == nil || *e.Message == "" || e.Data == nil || e.Data.Kind == nil || e.Data.Retryable == nil {
		return fmt.Errorf("an error without a member: %+v", e)
	}
	switch inBody := slices.Contains(toldByBody, *e.Code); {
	case status == 200 && !inBody:
		return fmt.Errorf("code %d under status 200: an SDK takes it for a failure of a tool", *e.Code)
	case status < 300 && status != 200, status == 304 || status >= 300 && status < 400:
		return fmt.Errorf("code %d under status %d", *e.Code, status)
	case status >= 500 && status != 503:
		return fmt.Errorf("code %d under status %d: proxies retry it", *e.Code, status)
	case status != 200 && inBody && *e.Code != -32070 && *e.Code != -32071:
		return fmt.Errorf("code %d under status %d: an SDK does not read it", *e.Code, status)
	}
	return nil
}

// toolResult is the result of a tool in its envelope, as the command line and the SDKs read it.
func toolResult(result json.RawMessage) (json.RawMessage, error) {
	var envelope struct {
		Content []map[string]json.RawMessage
	}
	if err := json.Unmarshal(result, &envelope); err != nil {
		return nil, err
	}
	if len(envelope.Content) == 0 {
		return nil, fmt.Errorf("no content in %.200s", result)
	}
	for _, item := range envelope.Content {
		if _, there := item["json"]; !there || string(item["type"]) != `"json"` {
			return nil, fmt.Errorf("an item of content that is no JSON: %v", item)
		}
	}
	return envelope.Content[0]["json"], nil
}

// toolList reads the result of tools/list.
func toolList(result json.RawMessage) error {
	var list struct {
		Tools []struct {
			Name        string
			Description *string
			InputSchema json.RawMessage `json:"input_schema"`
		}
	}
	if err := json.Unmarshal(result, &list); err != nil {
		return err
	}
	for _, tool := range list.Tools {
		if !slices.Contains(clientTools, tool.Name) || tool.Description == nil || !bytes.HasPrefix(tool.InputSchema, []byte("{")) {
			return fmt.Errorf("the command line does not take the tool %q", tool.Name)
		}
	}
	return nil
}

// publishedResults are the schemas that the SDKs' validators have.
var publishedResults = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	text, err := os.ReadFile(filepath.Join("testdata", "published_results.json"))
	if err != nil {
		return nil, err
	}
	var sources map[string]json.RawMessage
	if err := json.Unmarshal(text, &sources); err != nil {
		return nil, err
	}
	schemas := map[string]*jsonschema.Schema{}
	for name, source := range sources {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			return nil, err
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("urn:"+name, document); err != nil {
			return nil, err
		}
		if schemas[name], err = compiler.Compile("urn:" + name); err != nil {
			return nil, err
		}
	}
	return schemas, nil
})

// validated checks a tool's result as the SDKs' validators do. They refuse some results that every host must give, of which
// those here are cut out first (mcp contract §12.5).
func validated(tool string, result json.RawMessage) error {
	schemas, err := publishedResults()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(result))
	if err != nil {
		return err
	}
	cutRefused(tool, value)
	return schemas[tool].Validate(value)
}

// cutRefused takes out of a result what the published schemas refuse although it must be there, or may be.
func cutRefused(tool string, value any) {
	object, _ := value.(map[string]any)
	inner := func(name string) map[string]any { m, _ := object[name].(map[string]any); return m }
	switch tool {
	case "evidence_query": // details: null matches both of its alternatives
		if failure, _ := inner("result")["error"].(map[string]any); failure != nil && failure["details"] == nil {
			failure["details"] = map[string]any{}
		}
	case "runpack_export": // the manifest of a host with anchors
		delete(inner("manifest"), "anchor_policy")
	case "runpack_verify": // what this host finds and the open-source Decision Gate does not look for
		delete(inner("report"), "decision_gate")
	}
}

// TestStrictClients has the clients read answers that a host must not give.
func TestStrictClients(t *testing.T) {
	const (
		call = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"json","json":{}}]}}`
		data = `"data":{"kind":"k","retryable":false,"request_id":"1"}`
	)
	failure := func(code int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":%d,"message":"m",%s}}`, code, data)
	}
	for _, test := range []struct {
		status            int
		contentType, body string
		good              bool
	}{
		{200, "application/json", call, true},
		{200, "text/event-stream", "data: " + call + "\n\n", true},
		{200, "application/json", failure(-32004), true},
		{400, "application/json", failure(-32602), true},
		{413, "application/json", failure(-32070), true},
		{503, "application/json", failure(-32072), true},

		{200, "text/plain", call, false},
		{200, "text/event-stream", call, false},
		{200, "text/event-stream", "data: {\ndata: }\n\n", false},
		{200, "application/json", "data: " + call + "\n\n", false},
		{200, "application/json", `{"jsonrpc":"2.0","result":{}}`, false},
		{200, "application/json", `{"jsonrpc":"1.0","id":1,"result":{}}`, false},
		{200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, false},
		{200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"m"}}`, false},
		{200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":"-32004","message":"m",` + data + `}}`, false},
		{200, "application/json", "\"\xff\"", false},
		{202, "application/json", failure(-32004), false},
		{404, "application/json", failure(-32004), false},
		{200, "application/json", failure(-32602), false},
		{500, "application/json", failure(-32602), false},
		{404, "application/json", call, false},
	} {
		if _, err := acceptedByClients(test.status, test.contentType, []byte(test.body)); (err == nil) != test.good {
			t.Errorf("%d %s %s: %v", test.status, test.contentType, test.body, err)
		}
	}
	for _, content := range []string{`{}`, `{"content":[]}`, `{"content":[{"type":"text","text":"x"}]}`, `{"content":[{"type":"json","json":1},{"type":"text","text":"x"}]}`, `{"content":[{"type":"json"}]}`} {
		if _, err := toolResult([]byte(content)); err == nil {
			t.Errorf("%s is taken", content)
		}
	}
	for _, list := range []string{`{"tools":[{"name":"new_tool","description":"","input_schema":{}}]}`, `{"tools":[{"name":"precheck","description":"","inputSchema":{}}]}`} {
		if toolList([]byte(list)) == nil {
			t.Errorf("%s is taken", list)
		}
	}
	for tool, result := range map[string]string{"scenario_define": `{"scenario_id":"s"}`, "scenarios_list": `{"items":[],"next_token":null,"more":1}`} {
		if validated(tool, []byte(result)) == nil {
			t.Errorf("%s of %s is taken", result, tool)
		}
	}
	if err := validated("scenarios_list", []byte(`{"items":[],"next_token":null}`)); err != nil {
		t.Error(err)
	}
}
