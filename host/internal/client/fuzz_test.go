package client

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// FuzzAnswer reads what a server may say: there is no panic, and what is taken for a result is one.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"json","json":{"a":1}}]}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32071,"message":"m","data":{"kind":"k","retryable":true,"request_id":null,"retry_after_ms":18446744073709551615}}}`,
		"event: x\ndata: {}\n\n", "\xff", "[[[", "",
	} {
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, ok bool) {
		a := answer{body: firstEvent(append([]byte("data: "), body...)), status: http.StatusBadGateway, server: "fuzz"}
		if ok {
			a = answer{body: body, status: http.StatusOK, server: "fuzz"}
		}
		result, err := a.read(1)
		if err == nil {
			if _, err := canonical.Parse(canonical.AppendValue(nil, result, canonical.Declared)); err != nil || !ok {
				t.Errorf("result %q: %v", body, err)
			}
			return
		}
		if refusal, is := err.(*Refusal); is && refusal.RetryAfter < 0 {
			t.Errorf("%q: wait %s", body, refusal.RetryAfter)
		}
		if text := err.Error(); text == "" || !utf8.ValidString(text) {
			t.Errorf("%q: error %q", body, text)
		}
	})
}

// FuzzFrame reads what a program may write: a frame is as long as it says, and within its bound.
func FuzzFrame(f *testing.F) {
	for _, stream := range []string{"Content-Length: 2\r\n\r\n{}", "X: 1\nContent-Length: 0\n\n", "Content-Length: -1\n\n", "Content-Length: 99999999999999999999\n\n", "{}\n", ""} {
		f.Add([]byte(stream))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		body, err := readFrame(bufio.NewReaderSize(bytes.NewReader(stream), maxFrameHeader))
		if err == nil && !bytes.Contains(stream, body) {
			t.Errorf("%q: body %q", stream, body)
		}
	})
}
