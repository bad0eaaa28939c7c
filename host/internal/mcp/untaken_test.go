package mcp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// h2 is a frame of HTTP/2 (RFC 9113 §4.1).
func h2(kind, flags byte, stream uint32, payload string) string {
	var head [9]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	return string(head[:]) + payload
}

// field is a header field without compression (RFC 7541 §6.2.2).
func field(name, value string) string {
	return fmt.Sprintf("\x00%c%s%c%s", len(name), name, len(value), value)
}

// takeNothing sends requests on one connection, as a client of HTTP/2 that opens no window: no byte of an answer can leave.
func takeNothing(t *testing.T, address, method, path, body string, requests int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	const settings, headers, data, initialWindow = 4, 1, 0, "\x00\x04\x00\x00\x00\x00"
	const endStream, endHeaders = 1, 4
	all := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2(settings, 0, 0, initialWindow) + h2(settings, 1, 0, "")
	for i := range requests {
		stream := uint32(2*i + 1)
		all += h2(headers, endHeaders, stream, field(":method", method)+field(":scheme", "http")+field(":path", path)+field(":authority", address)) + h2(data, endStream, stream, body)
	}
	if _, err := io.WriteString(conn, all); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, conn) // settings, headers and resets
}

// TestUntakenAnswersKeepNobodyOut has clients ask, whoever they are, and take no answer: they hold no slot for it, and no more
// memory than that of a bounded number of answers.
func TestUntakenAnswersKeepNobodyOut(t *testing.T) {
	for _, ask := range []struct{ name, method, path, body string }{
		{"rpc", "POST", rpcPath, listTools},
		{"rpc, refused", "POST", rpcPath, "{"},
		{"mcp", "POST", standardPath, listTools},
		{"mcp, refused", "POST", standardPath, "{"},
		{"health", "GET", "/healthz", ""},
	} {
		t.Run(ask.name, func(t *testing.T) {
			r := newRig(t)
			r.answers.Limit = 5
			address := r.serveReal(func(s *http.Server) {
				s.Protocols = new(http.Protocols)
				s.Protocols.SetHTTP1(true)
				s.Protocols.SetUnencryptedHTTP2(true)
			})
			requests := r.MaxInflight + r.answers.Limit
			takeNothing(t, address, ask.method, ask.path, ask.body, requests)
			waitFor(t, func() bool { return r.answers.Pending() >= r.answers.Limit && r.slots.taken() == 0 })
			time.Sleep(100 * time.Millisecond) // they are late by then
			if response, body := send(t, address, rawPost(address, listTools)); response.StatusCode != 200 {
				t.Fatalf("%d %s", response.StatusCode, body)
			}
			waitFor(t, func() bool { return r.answers.Pending() < r.answers.Limit })
		})
	}
}
