package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// TestStopBesideUntakenAnswer stops a host whose client takes no answer: its calls have ended, so none was cut off.
func TestStopBesideUntakenAnswer(t *testing.T) {
	settings := config.Default()
	settings.Server.HTTP.Listen, settings.Server.DrainTimeout = "127.0.0.1:0", 2*time.Second
	log := slog.New(slog.DiscardHandler)
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: faultystore.New(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	door, err := listen(settings, log)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{host: h, settings: settings.Server, door: door, log: log}
	server := door.server(s.settings, h.Handler())
	served := make(chan error, 1)
	go func() { served <- door.serve(server) }()

	client, err := net.Dial("tcp", door.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	ask := fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	// Until the host reads no more, since its answers fill all that is between them.
	_ = client.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(client, strings.Repeat(ask, 1<<16)); err == nil {
		t.Fatal("the host answers without end")
	}
	deadline, cancel := context.WithTimeout(t.Context(), s.settings.DrainTimeout)
	defer cancel()
	if err := s.drainHTTP(deadline, server); err != nil {
		t.Errorf("the stop says %v", err)
	}
	<-served
}
