package host_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// badMaxBody is a limit that is quickly reached.
const badMaxBody = 1 << 16

// badHost is a host on a store in memory, which can be asked what it holds.
type badHost struct {
	*fixture
	store *faultystore.Store
}

func openBad(t *testing.T, maxBody int64) *badHost {
	t.Helper()
	settings := config.Default()
	settings.Server.MaxBodyBytes = maxBody
	settings.Evidence.Time = &config.TimeEvidence{AllowLogical: true}
	settings.Trust.MinLane = "asserted"
	settings.Schemas.ACL.AllowLocal = true
	settings.Namespace.AllowDefault, settings.Namespace.DefaultTenants = true, []uint64{1}
	dir := t.TempDir()
	settings.Runpack.Dirs = []string{dir}
	store := faultystore.New()
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: store, Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	t.Cleanup(func() { server.Close(); _ = h.Close() })
	return &badHost{&fixture{t: t, Host: h, URL: server.URL, Dir: dir}, store}
}

// stored counts everything that a host keeps.
func (b *badHost) stored() (n int) {
	for _, collection := range []string{"runs", "run_steps", "run_triggers", "run_submissions", "run_packets", "scenarios", "schemas"} {
		n += b.store.Len(collection)
	}
	return n
}

// envelope is an answer of the host, whatever was asked.
type envelope struct {
	Jsonrpc string
	ID      json.RawMessage
	Result  json.RawMessage
	Error   *rpcError
}

// statusOf are the codes that a client may get for what it sends, with their HTTP status (mcp contract §2.6): no other, and
// none of them an internal error.
var statusOf = map[int]int{
	0: 200, -32600: 400, -32601: 400, -32602: 400, -32003: 403, -32004: 200, -32009: 200, -32030: 200, -32040: 200, -32070: 413, -32073: 400,
}

// send posts a body as it is. The answer must be one that the contract knows.
func (b *badHost) send(name, body string) envelope {
	b.t.Helper()
	recorded := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/rpc", strings.NewReader(body))
	request.RemoteAddr = "127.0.0.1:1"
	b.Host.Handler().ServeHTTP(recorded, request)
	var e envelope
	if err := json.Unmarshal(recorded.Body.Bytes(), &e); err != nil || e.Jsonrpc != "2.0" || (e.Result == nil) == (e.Error == nil) {
		b.t.Fatalf("%s: answered with %d %.300q: %v", name, recorded.Code, recorded.Body, err)
	}
	code := 0
	if e.Error != nil {
		code = e.Error.Code
	}
	if want, known := statusOf[code]; !known || recorded.Code != want {
		b.t.Errorf("%s: answered with %d %.300s", name, recorded.Code, recorded.Body)
	}
	return e
}

// overStdio sends frames on one connection, and returns the answers. Every frame must get one.
func (b *badHost) overStdio(bodies ...string) (answers []envelope) {
	b.t.Helper()
	var in, out bytes.Buffer
	for _, body := range bodies {
		fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	if err := b.Host.ServeStdio(context.Background(), &in, &out); err != nil {
		b.t.Fatal(err)
	}
	for reader := bufio.NewReader(&out); ; {
		line, err := reader.ReadString('\n')
		if err == io.EOF {
			break
		}
		n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "Content-Length: ")))
		if err != nil {
			b.t.Fatalf("frame begins with %q", line)
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(reader, body); err != nil {
			b.t.Fatal(err)
		}
		var e envelope
		if err := json.Unmarshal(body, &e); err != nil {
			b.t.Fatal(err)
		}
		answers = append(answers, e)
	}
	if len(answers) != len(bodies) {
		b.t.Fatalf("%d answers to %d frames", len(answers), len(bodies))
	}
	return answers
}

// healthy makes a call that must succeed.
func (b *badHost) healthy(after string) {
	b.t.Helper()
	if e := b.send("a healthy call after "+after, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); e.Error != nil {
		b.t.Fatalf("after %s: %+v", after, e.Error)
	}
}

func toolCall(tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

// TestBadBodies sends bodies that are no requests, or only just are, over both transports.
func TestBadBodies(t *testing.T) {
	b := openBad(t, 1<<20)
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	rep := strings.Repeat
	million := rep("7", 1_000_000)
	nested := func(n int) string { return rep("[", n) + rep("]", n) }
	listed := func(more string) string {
		return toolCall("scenarios_list", `{"tenant_id":1,"namespace_id":1`+more+`}`)
	}
	const invalid, badParams, ok = -32600, -32602, 0
	for _, test := range []struct {
		name, body string
		code       int
		id         string // of the answer
	}{
		{"empty", ``, invalid, `null`},
		{"truncated", list[:len(list)-1], invalid, `null`},
		{"truncated in a string", list[:20], invalid, `null`},
		{"truncated in an escape", `{"jsonrpc":"2.0","id":"\u00`, invalid, `null`},
		{"byte order mark", "\ufeff" + list, invalid, `null`},
		{"UTF-16", "{\x00\"\x00j\x00s\x00", invalid, `null`},
		{"not UTF-8 in a string", listed(`,"x":"` + "\xff" + `"`), invalid, `null`},
		{"overlong UTF-8", listed(`,"x":"` + "\xc0\x80" + `"`), invalid, `null`},
		{"surrogate in UTF-8", listed(`,"x":"` + "\xed\xa0\x80" + `"`), invalid, `null`},
		{"not UTF-8 in a name", listed(`,"` + "\xff" + `":1`), invalid, `null`},
		{"batch", `[` + list + `,` + list + `]`, invalid, `null`},
		{"batch of nothing", `[]`, invalid, `null`},
		{"two requests", list + list, invalid, `null`},
		{"NUL after", list + "\x00", invalid, `null`},
		{"NUL in a string", listed(`,"x":"` + "\x00" + `"`), invalid, `null`},

		{"127 levels", listed(`,"x":` + nested(124)), ok, `7`},
		{"128 levels", listed(`,"x":` + nested(125)), invalid, `null`},
		{"half a million levels", listed(`,"x":` + nested(500_000)), invalid, `null`},
		{"half a million levels, open", rep("[", 500_000), invalid, `null`},
		{"many levels of objects, open", rep(`{"a":`, 200_000), invalid, `null`},
		{"half a million levels beside what is read", `{"x":` + nested(500_000) + `,` + list[1:], ok, `1`},
		{"half a million levels in the id", `{"jsonrpc":"2.0","id":` + nested(500_000) + `,"method":"tools/list"}`, invalid, `null`},

		{"lone high surrogate", listed(`,"x":"\ud800"`), invalid, `null`},
		{"lone low surrogate", listed(`,"x":"\udc00"`), invalid, `null`},
		{"surrogates the wrong way round", listed(`,"x":"\udc00\ud800"`), invalid, `null`},
		{"lone surrogate in a name", listed(`,"\ud800":1`), invalid, `null`},
		{"lone surrogate in the id", `{"jsonrpc":"2.0","id":"\ud800","method":"tools/list"}`, invalid, `null`},
		{"pair of surrogates", listed(`,"x":"\ud83d\ude00"`), ok, `7`},
		{"escaped NUL", listed(`,"x":"\u0000"`), ok, `7`},

		{"a million digits", listed(`,"x":` + million), invalid, `null`},
		{"a million digits of a fraction", listed(`,"x":0.` + million), ok, `7`},
		{"a million zeros before the last digit", listed(`,"x":0.` + rep("0", 1_000_000) + `1`), ok, `7`},
		{"a million digits for a tenant", toolCall("scenarios_list", `{"tenant_id":0.`+million+`,"namespace_id":1}`), badParams, `7`},
		{"a million zeros for a tenant", toolCall("scenarios_list", `{"tenant_id":1.`+rep("0", 1_000_000)+`,"namespace_id":1}`), badParams, `7`},
		{"a million digits of an exponent", listed(`,"x":1e` + million), invalid, `null`},
		{"a million digits of a negative exponent", listed(`,"x":1e-` + million), ok, `7`},
		{"zero with an exponent beyond all", listed(`,"x":0e` + million), ok, `7`},
		{"number beyond a double", listed(`,"x":1e309`), invalid, `null`},
		{"a million digits in the id", `{"jsonrpc":"2.0","id":0.` + million + `,"method":"tools/list"}`, ok, `0.7777777777777778`},

		{"duplicate id", `{"id":2,` + list[1:], invalid, `null`},
		{"duplicate method", `{"method":"x",` + list[1:], invalid, `null`},
		{"duplicate name of a tool", `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"nothing","name":"scenarios_list","arguments":{"tenant_id":1,"namespace_id":1}}}`, ok, `7`},
		{"duplicate argument, the last wins", listed(`,"tenant_id":"x"`), badParams, `7`},
		{"duplicate argument, the last wins and is good", toolCall("scenarios_list", `{"tenant_id":"x","namespace_id":1,"tenant_id":1}`), ok, `7`},
		{"duplicate argument in an escape", toolCall("scenarios_list", `{"tenant_id":1,"namespace_id":1,"\u0074enant_id":0}`), badParams, `7`},

		{"no request", `{}`, invalid, `null`},
		{"arguments in order", toolCall("scenarios_list", `[1,1]`), badParams, `7`},
		{"no tool", toolCall("scenarios_list\\u0000", `{}`), -32601, `7`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &badHost{&fixture{t: t, Host: b.Host, URL: b.URL}, b.store}
			answers := append(b.overStdio(test.body, list), b.send(test.name, test.body))
			for i, e := range answers {
				want, id := test.code, test.id
				if i == 1 {
					want, id = ok, `1` // the frame after
				}
				code := 0
				if e.Error != nil {
					code = e.Error.Code
				}
				if code != want || string(e.ID) != id {
					t.Errorf("answer %d: code %d, id %s; want %d, %s", i, code, e.ID, want, id)
				}
			}
			b.healthy(test.name)
		})
	}
	if n := b.stored(); n != 0 {
		t.Errorf("%d records are stored", n)
	}
}

// TestBadBodyLengths lies about the length of a body: each lie ends its own connection at most.
func TestBadBodyLengths(t *testing.T) {
	b := openBad(t, badMaxBody)
	address := strings.TrimPrefix(b.URL, "http://")
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	head := func(header string) string {
		return "POST /rpc HTTP/1.1\r\nHost: " + address + "\r\n" + header + "\r\n\r\n"
	}
	for _, test := range []struct {
		name, text string
		status     int
	}{
		{"shorter than it is", head("Content-Length: 10") + list, 400},
		{"longer than it is, and closed", head("Content-Length: 1000") + list, 400},
		{"negative", head("Content-Length: -1") + list, 400},
		{"two lengths", head("Content-Length: 46\r\nContent-Length: 47") + list, 400},
		{"a length and chunks, which count (RFC 9112 §6.3)", head("Content-Length: 4\r\nTransfer-Encoding: chunked") + "2e\r\n" + list + "\r\n0\r\n\r\n", 200},
		{"chunk longer than it is, and closed", head("Transfer-Encoding: chunked") + "ff\r\n" + list, 400},
		{"chunk without a length", head("Transfer-Encoding: chunked") + "zz\r\n" + list, 400},
		{"chunks that never end", head("Transfer-Encoding: chunked") + strings.Repeat("10000\r\n"+strings.Repeat(" ", 0x10000)+"\r\n", 80), 413},
		{"one byte a chunk, beyond the limit", head("Transfer-Encoding: chunked") + strings.Repeat("1\r\n \r\n", badMaxBody+1), 413},
		{"a length beyond the limit, nothing sent", head("Content-Length: 9223372036854775807"), 413},
		{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"garbage", strings.Repeat("\x00", 100) + "\r\n\r\n", 400},
		{"a header that never ends", "POST /rpc HTTP/1.1\r\nX: " + strings.Repeat("x", 2<<20), 431},
		{"a million headers", "POST /rpc HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 300_000), 431},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := dial(t, address)
			go func() {
				_, _ = io.WriteString(conn, test.text)
				_ = conn.CloseWrite()
			}()
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			b := &badHost{&fixture{t: t, Host: b.Host, URL: b.URL}, b.store}
			b.healthy(test.name)
		})
	}
	if n := b.stored(); n != 0 {
		t.Errorf("%d records are stored", n)
	}
}
