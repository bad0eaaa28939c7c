package remote

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

var one = canonical.NewUint(1)

// TestReadAnswer is the table of mcp contract §5.1; an empty text is an answer that counts.
func TestReadAnswer(t *testing.T) {
	ok := `{"type":"json","json":{}}`
	for body, want := range map[string]string{
		`{"id":1,"result":{"content":[` + ok + `]}}`:                                     "",
		`{"id":1,"result":{"content":[` + ok + `]},"error":null}`:                        "",
		`{"id":1,"result":{"content":[` + ok + `,{"type":"text","text":"x"}]}}`:          "",
		`{"id":1,"result":{"content":[` + ok + `],"isError":true},"extra":{}}`:           "",
		`{"id":1.0,"result":{"content":[` + ok + `]}}`:                                   "json-rpc response id mismatch",
		`{"id":"1","result":{"content":[` + ok + `]}}`:                                   "json-rpc response id mismatch",
		`{"id":2,"error":{"message":"m"}}`:                                               "json-rpc response id mismatch",
		`{"result":{"content":[` + ok + `]}}`:                                            "json-rpc response id mismatch",
		`{"id":null,"result":{"content":[` + ok + `]}}`:                                  "json-rpc response id mismatch",
		`{"id":null,"error":{"code":-32700,"message":"cannot read that"}}`:               "cannot read that",
		`{"id":1,"result":{"content":[` + ok + `]},"error":{"code":1,"message":"wins"}}`: "wins",
		`{"id":1,"error":{"code":-1}}`:                                                   "invalid json-rpc response",
		`{"id":1,"error":"text"}`:                                                        "invalid json-rpc response",
		``:                                                                               "invalid json-rpc response",
		`[1]`:                                                                            "invalid json-rpc response",
		`{"id":1,"result":{}} x`:                                                         "invalid json-rpc response",
		"{\"id\":1,\"x\":\"\xff\"}":                                                      "invalid json-rpc response",
		strings.Repeat(`[`, 1<<20):                                                       "invalid json-rpc response",
		`{"id":1}`:                                                                       "missing tool result",
		`{"id":1,"result":null}`:                                                         "missing tool result",
		`{"id":1,"result":{"x":1}}`:                                                      "invalid tool result",
		`{"id":1,"result":{"content":[]}}`:                                               "empty tool result",
		`{"id":1,"result":{"content":[{"type":"text","text":"hi"}]}}`:                    "unexpected text response: hi",
		`{"id":1,"result":{"content":[{"type":"image"}]}}`:                               "invalid tool result",
		`{"id":1,"result":{"content":[` + ok + `,{"type":"image"}]}}`:                    "invalid tool result",
		`{"id":1,"result":{"content":[{"type":"json","json":null}]}}`:                    "invalid tool result",
		`{"id":1,"result":{"content":[{"type":"json","json":{"value":5}}]}}`:             "invalid tool result",
		`{"id":1,"result":{"content":[{"type":"json","json":{"lane":"best"}}]}}`:         "invalid tool result",
	} {
		_, err := readAnswer([]byte(body), one, false)
		if got := errors.Join(err); got == nil && want != "" || got != nil && got.Error() != want {
			t.Errorf("%.100s: got %v, want %q", body, err, want)
		}
	}
}

// TestLongErrors: what a provider says is cut before it is recorded, between characters.
func TestLongErrors(t *testing.T) {
	long := strings.Repeat("é", MaxAnswer/4)
	for _, body := range []string{
		`{"id":1,"error":{"message":"x` + long + `"}}`,
		`{"id":1,"result":{"content":[{"type":"text","text":"` + long + `"}]}}`,
	} {
		_, err := readAnswer([]byte(body), one, false)
		if err == nil || len(err.Error()) > maxErrorText+64 || !utf8.ValidString(err.Error()) || !strings.HasSuffix(err.Error(), "é…") {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

// Whatever a program writes must neither crash the host nor fill its memory.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}"))
	f.Add([]byte("X: y\nContent-Length: 1\nContent-Length: +3\n\nabcd"))
	f.Add([]byte("Content-Length: 18446744073709551615\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), maxHeaderLine)
		for {
			body, err := readFrame(r)
			if err != nil {
				return
			}
			if len(body) > MaxAnswer || !bytes.Contains(data, body) {
				t.Fatalf("%q: a body of %d bytes", data, len(body))
			}
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"id":1,"result":{"content":[{"type":"json","json":{"value":{"kind":"bytes","value":[1]},"signature":{"scheme":"s","key_id":"k","signature":[1]}}}]}}`))
	f.Add([]byte(`{"id":null,"error":{"message":"m"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		result, err := readAnswer(body, one, false)
		if err != nil {
			if len(err.Error()) > maxErrorText+64 || !utf8.ValidString(err.Error()) {
				t.Errorf("%q: %q", body, err)
			}
			return
		}
		if !bytes.Contains(body, []byte("1")) || result.Lane == "" {
			t.Errorf("%q was taken for an answer to question 1", body)
		}
	})
}
