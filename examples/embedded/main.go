// Command embedded is a ticket desk with a Decision Gate host inside: one process, one port, no plugin. People approve tickets
// at the desk's own routes, agents ask under /gate whether they may go on, and the gate reads the tickets as evidence.
//
//	go run ./examples/embedded -data DIR
//
//	PUT  /tickets/NAME   {"state": "approved"}
//	GET  /healthz        whether the desk is up and the gate ready
//	POST /gate/rpc       every tool of the host; /gate/healthz and /gate/readyz are there too
//
// Decisions are kept in a Go value (package journal), runpacks in a folder. Neither the desk nor the host knows its callers,
// so it listens on loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on, of this machine alone")
	data := flag.String("data", "embedded-data", "folder for decisions, tickets and runpacks; made where it is not there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		fmt.Printf("the desk answers on http://%s\n", listener.Addr())
		err = serve(ctx, listener, *data, slog.Default())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "embedded:", err)
		os.Exit(1)
	}
}

const (
	// Clients that stall are cut off: the host cannot do that for a server which is not its own.
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	// drainTimeout is the time that calls in flight have when the program ends.
	drainTimeout = 10 * time.Second
)

// serve runs the desk until the context ends, and then stops in the order that loses nothing: first no new calls, then
// those in flight, then the host, and the journal last.
func serve(ctx context.Context, listener net.Listener, data string, log *slog.Logger) error {
	desk, err := open(ctx, data, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: desk.routes(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		err = errors.Join(desk.gate.Drain(drain), server.Shutdown(drain), server.Close())
	}
	return errors.Join(err, desk.close())
}
