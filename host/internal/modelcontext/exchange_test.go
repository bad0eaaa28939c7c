package modelcontext

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/delivery"
)

func value(t testing.TB, text string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// toy is a server with one of each. wait holds the tool of that name until it is closed, or the call is cancelled.
func toy(t testing.TB, wait <-chan struct{}) *Server {
	t.Helper()
	said := func(text string) (Result, error) {
		return Result{Members: append(canonical.AppendString([]byte(`"content":[{"type":"text","text":`), text), `}]`...)}, nil
	}
	text := "# Page"
	object := value(t, `{"type":"object"}`)
	tool := func(name string, call func(context.Context, *Call) (Result, error)) Tool {
		return Tool{Name: name, Description: "It is a toy.", Input: object, Call: call}
	}
	s, err := New(Catalog{
		Name: "toy", Title: "Toy", Version: "1",
		Tools: []Tool{
			tool("echo", func(_ context.Context, c *Call) (Result, error) {
				return said(string(canonical.AppendValue(nil, c.Arguments, canonical.Declared)))
			}),
			tool("tell", func(_ context.Context, c *Call) (Result, error) {
				c.Progress(1, 2, "half")
				c.Log("info", "so far")
				c.Log("debug", "detail")
				return said("told")
			}),
			tool("wait", func(ctx context.Context, c *Call) (Result, error) {
				c.Progress(0, 0, "")
				select {
				case <-wait:
					return said("waited")
				case <-ctx.Done():
					return Result{}, ctx.Err()
				}
			}),
			tool("break", func(context.Context, *Call) (Result, error) { return Result{}, errors.New("secret detail") }),
			tool("panic", func(context.Context, *Call) (Result, error) { panic("secret detail") }),
			tool("need", func(_ context.Context, c *Call) (Result, error) { return Result{}, c.Require("sampling") }),
			tool("ask", func(ctx context.Context, c *Call) (Result, error) {
				answer, err := c.Ask(ctx, "roots/list", []byte(`{}`))
				if err != nil {
					return said(err.Error())
				}
				return said(string(canonical.AppendValue(nil, answer, canonical.Declared)))
			}),
			tool("more", func(context.Context, *Call) (Result, error) {
				return Result{Members: []byte(`"requestState":"x"`), Meta: []byte(`"a.b/c":1`), Incomplete: true}, nil
			}),
		},
		Resources: []Resource{{URI: "toy://page", Name: "page", Description: "A page.", MIMEType: "text/markdown",
			Read: func(context.Context, *Call) ([]Contents, error) {
				return []Contents{{URI: "toy://page", MIMEType: "text/markdown", Text: &text}}, nil
			}}},
		Prompts: []Prompt{{Name: "greet", Description: "Greet somebody.", Arguments: []Argument{{Name: "who", Description: "Whom.", Required: true}},
			Get: func(_ context.Context, c *Call) (Result, error) {
				who, _ := textOf(c.Arguments, "who")
				return said("Hello " + who)
			}}},
		Complete: func(context.Context, *Completion) ([]string, error) { return []string{"Ada", "Alan", "Bob"}, nil },
	}, Options{MaxMessage: 1 << 12, MaxInflight: 4, Answers: &delivery.Answers{Timeout: time.Minute, Limit: 8}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// textOf is text where that name is taken.
func textOf(v canonical.Value, name string) (string, bool) { return text(v, name) }

// handler reads a body without the limits that a host has.
func (s *Server) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			s.Post(w, r, body)
		}
	})
}

const bothAccepted = "application/json, text/event-stream"

// send posts a body with headers, which are lines.
func send(t testing.TB, s *Server, headers, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(body))
	for line := range strings.SplitSeq(headers, "\n") {
		if name, v, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			r.Header.Add(name, v)
		}
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t testing.TB, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// now is the _meta of a modern request, and modernHeaders go with it.
const now = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

func modernHeaders(method, name string) string {
	h := "MCP-Protocol-Version: 2026-07-28\nMcp-Method: " + method + "\nAccept: " + bothAccepted
	if name != "" {
		h += "\nMcp-Name: " + name
	}
	return h
}

const server = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"toy","title":"Toy","version":"1"}`

// TestExchanges is a table of what goes over the wire, to the byte.
func TestExchanges(t *testing.T) {
	legacy := "Accept: " + bothAccepted + "\nMCP-Protocol-Version: 2025-11-25"
	call := func(tool string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"a":1.0}}}`
	}
	modernCall := func(tool, more string) string {
		return `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"` + tool + `",` + now + more + `}}`
	}
	result := func(members string) string { return `{"jsonrpc":"2.0","id":1,"result":{` + members + `}}` }
	for _, test := range []struct {
		name, headers, body string
		status              int
		answer              string // the whole body; for events, each after "data: "
	}{
		// The handshake.
		{"initialize", "Accept: " + bothAccepted, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, 200,
			result(`"protocolVersion":"2025-06-18","capabilities":{"logging":{},"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}},"serverInfo":{"name":"toy","title":"Toy","version":"1"}`)},
		{"initialize by a revision to come", legacy, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2030-01-01"}}`, 200,
			result(`"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{},"resources":{"subscribe":true},"prompts":{},"completions":{}},"serverInfo":{"name":"toy","title":"Toy","version":"1"}`)},
		{"initialize without a revision", legacy, `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, 200,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params.protocolVersion must be a string"}}`},
		{"initialized", legacy, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202, ``},
		{"a notification that nobody knows", legacy, `{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}`, 202, ``},
		{"ping", legacy, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, result(``)},
		{"no revision named", "Accept: */*", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, result(``)},
		{"no Accept", "", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, result(``)},
		{"a revision that is not served", "MCP-Protocol-Version: 1999-01-01", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 400,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"Unsupported protocol version","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"1999-01-01"}}}`},
		{"log level", legacy, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}`, 200, result(``)},
		{"no such log level", legacy, `{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`, 200,
			`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params.level must be one of [debug info notice warning error critical alert emergency]"}}`},

		// Tools.
		{"tools/call", legacy, call("echo"), 200, result(`"content":[{"type":"text","text":"{\"a\":1.0}"}]`)},
		{"without arguments", legacy, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, 200, result(`"content":[{"type":"text","text":"{}"}]`)},
		{"arguments that are no object", legacy, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":[]}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params.arguments must be an object"}}`},
		{"no name", legacy, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"params.name must be a string"}}`},
		{"unknown tool", legacy, call("x"), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"unknown tool: x"}}`},
		{"a failure is not told", legacy, call("break"), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}`},
		{"a panic ends the request", legacy, call("panic"), 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}`},
		{"progress that nobody wants", legacy + "\n", strings.Replace(call("wait"), `"wait"`, `"echo"`, 1), 200, result(`"content":[{"type":"text","text":"{\"a\":1.0}"}]`)},
		{"progress and log", legacy, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tell","_meta":{"progressToken":"p"}}}`, 200,
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1,"total":2,"message":"half"}}` + "\n" +
				`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"so far"}}` + "\n" +
				result(`"content":[{"type":"text","text":"told"}]`)},
		{"progress for who takes no events", "Accept: application/json", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tell","_meta":{"progressToken":7}}}`, 200, result(`"content":[{"type":"text","text":"told"}]`)},
		{"events only", "Accept: text/event-stream", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, "data: " + result(``)},
		{"neither form accepted", "Accept: text/html", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 406, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Accept must allow application/json or text/event-stream"}}`},
		{"JSON refused by its weight", "Accept: application/json;q=0, text/event-stream", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 200, "data: " + result(``)},
		{"asking without a session", legacy, call("ask"), 200, result(`"content":[{"type":"text","text":"the client cannot be asked"}]`)},

		// Resources, prompts, completion.
		{"resources/list", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, 200, result(`"resources":[{"uri":"toy://page","name":"page","description":"A page.","mimeType":"text/markdown"}]`)},
		{"a page of it", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/list","params":{"cursor":"x"}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"the list has one page: no cursor is valid"}}`},
		{"resources/templates/list", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/templates/list"}`, 200, result(`"resourceTemplates":[]`)},
		{"resources/read", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"toy://page"}}`, 200, result(`"contents":[{"uri":"toy://page","mimeType":"text/markdown","text":"# Page"}]`)},
		{"no such resource", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"toy://x"}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"no such resource","data":{"uri":"toy://x"}}}`},
		{"resources/subscribe", legacy, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"toy://page"}}`, 200, result(``)},
		{"prompts/list", legacy, `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`, 200, result(`"prompts":[{"name":"greet","description":"Greet somebody.","arguments":[{"name":"who","description":"Whom.","required":true}]}]`)},
		{"prompts/get", legacy, `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet","arguments":{"who":"Ada"}}}`, 200, result(`"content":[{"type":"text","text":"Hello Ada"}]`)},
		{"an argument is missing", legacy, `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet"}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"argument who is required: Whom."}}`},
		{"an argument is no string", legacy, `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"greet","arguments":{"who":1}}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"argument who must be a string"}}`},
		{"completion/complete", legacy, `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":"A"}}}`, 200, result(`"completion":{"values":["Ada","Alan"],"total":2,"hasMore":false}`)},

		// Messages that are none.
		{"not JSON", legacy, `{"jsonrpc":`, 400, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"not a JSON-RPC message: EOF while parsing a value at line 1 column 12"}}`},
		{"a batch", legacy, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"batches are not supported: send each message on its own"}}`},
		{"another version of JSON-RPC", legacy, `{"jsonrpc":"1.0","id":1,"method":"ping"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"jsonrpc must be \"2.0\""}}`},
		{"id null", legacy, `{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"id must be a string or an integer"}}`},
		{"a fraction as id", legacy, `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"id must be a string or an integer"}}`},
		{"no method", legacy, `{"jsonrpc":"2.0","id":1}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"method must be a string"}}`},
		{"params that are a list", legacy, `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"params must be an object"}}`},
		{"unknown method", legacy, `{"jsonrpc":"2.0","id":1,"method":"x"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: x"}}`},
		{"a modern method of a legacy client", legacy, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: server/discover"}}`},
		{"a response that nobody waits for", legacy, `{"jsonrpc":"2.0","id":"server-1","result":{}}`, 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"no request of the server waits for this response"}}`},
		{"a session that no host began", legacy + "\nMcp-Session-Id: stdio", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no such session: initialize again"}}`},

		// Modern requests.
		{"server/discover", modernHeaders("server/discover", ""), `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + now + `}}`, 200,
			result(`"supportedVersions":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"capabilities":{"logging":{},"tools":{},"resources":{},"prompts":{},"completions":{}},"ttlMs":300000,"cacheScope":"private","resultType":"complete",` + server + `}`)},
		{"a modern call", modernHeaders("tools/call", "echo"), modernCall("echo", ""), 200, `{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"{}"}],"resultType":"complete",` + server + `}}}`},
		{"a name in base64", modernHeaders("tools/call", "=?base64?ZWNobw==?="), modernCall("echo", ""), 200, `{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"{}"}],"resultType":"complete",` + server + `}}}`},
		{"input required", modernHeaders("tools/call", "more"), modernCall("more", ""), 200, `{"jsonrpc":"2.0","id":"x","result":{"requestState":"x","resultType":"input_required",` + server + `,"a.b/c":1}}}`},
		{"a capability that is not declared", modernHeaders("tools/call", "need"), modernCall("need", ""), 400, `{"jsonrpc":"2.0","id":"x","error":{"code":-32021,"message":"the client must declare the capability sampling","data":{"requiredCapabilities":{"sampling":{}}}}}`},
		{"logs that nobody wants", modernHeaders("tools/call", "tell"), modernCall("tell", ""), 200, `{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"told"}],"resultType":"complete",` + server + `}}}`},
		{"a modern client is not asked", modernHeaders("tools/call", "ask"), modernCall("ask", ""), 200, `{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"the client cannot be asked"}],"resultType":"complete",` + server + `}}}`},
		{"no such resource, modern", modernHeaders("resources/read", "toy://x"), `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"toy://x",` + now + `}}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no such resource","data":{"uri":"toy://x"}}}`},
		{"ping, which is no more", modernHeaders("ping", ""), `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + now + `}}`, 404, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: ping"}}`},
		{"a modern header alone", modernHeaders("tools/list", ""), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"_meta must hold io.modelcontextprotocol/protocolVersion"}}`},
		{"no capabilities", modernHeaders("tools/list", ""), `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"_meta must hold io.modelcontextprotocol/clientCapabilities"}}`},
		{"no header", "Accept: " + bothAccepted, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + now + `}}`, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"Header mismatch: Mcp-Protocol-Version must be there once"}}`},
		// A gateway that lets "echo" pass must not be made to let another tool pass.
		{"a header that names another tool", modernHeaders("tools/call", "echo"), modernCall("break", ""), 400, `{"jsonrpc":"2.0","id":"x","error":{"code":-32020,"message":"Header mismatch: Mcp-Name header value \"echo\" does not match body value \"break\""}}`},
		{"a header twice", modernHeaders("tools/call", "echo") + "\nMcp-Name: break", modernCall("echo", ""), 400, `{"jsonrpc":"2.0","id":"x","error":{"code":-32020,"message":"Header mismatch: Mcp-Name must be there once"}}`},
		{"a header that names another method", modernHeaders("tools/list", ""), modernCall("echo", ""), 400, `{"jsonrpc":"2.0","id":"x","error":{"code":-32020,"message":"Header mismatch: Mcp-Method header value \"tools/list\" does not match body value \"tools/call\""}}`},
		{"a header of another revision", "MCP-Protocol-Version: 2025-11-25\nMcp-Method: tools/call\nMcp-Name: echo", modernCall("echo", ""), 400, `{"jsonrpc":"2.0","id":"x","error":{"code":-32020,"message":"Header mismatch: Mcp-Protocol-Version header value \"2025-11-25\" does not match body value \"2026-07-28\""}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := send(t, toy(t, nil), test.headers, test.body)
			got, want := bodyOf(t, r), test.answer
			events, isEvents := strings.CutPrefix(want, "data: ")
			if isEvents || strings.Contains(want, "\n") {
				want = ""
				for message := range strings.SplitSeq(events, "\n") {
					want += "event: message\ndata: " + message + "\n\n"
				}
				if got := r.Header.Get("Content-Type"); got != "text/event-stream" {
					t.Errorf("the answer is %s", got)
				}
			} else if got := r.Header.Get("Content-Type"); want != "" && got != "application/json" {
				t.Errorf("the answer is %s", got)
			}
			if r.StatusCode != test.status || got != want {
				t.Errorf("got  %d %s\nwant %d %s", r.StatusCode, got, test.status, want)
			}
		})
	}
}
