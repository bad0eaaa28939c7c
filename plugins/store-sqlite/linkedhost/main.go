// Command linkedhost is a host with the SQLite store linked into it, for "make bench" to measure what the boundary between the host
// and its store plugin costs. It is no product: nothing of the plugin's life is there.
//
//	linkedhost serve --json --config FILE
//
// It takes the flags of decision-gate and announces itself as that does. The store's block must be in the configuration; its
// database is gate.db beside it, whatever the block says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-sqlite/internal/sqlite"
)

func main() {
	if err := run(os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, "linkedhost:", err)
		os.Exit(1)
	}
}

// drainTimeout is the time that calls in flight have at the end.
const drainTimeout = 10 * time.Second

func run(path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := config.LoadUnlocked(path)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"path": filepath.Join(filepath.Dir(path), "gate.db")})
	if err != nil {
		return err
	}
	plugin := sqlite.Plugin("linked", "")
	if body, err = plugin.Config.Apply(body); err != nil {
		return err
	}
	store, err := plugin.OpenStore(ctx, body)
	if err != nil {
		return err
	}
	h, err := host.Open(ctx, host.Config{Settings: settings, Store: store, Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(serve(ctx, h), h.Close(), store.Close())
}

func serve(ctx context.Context, h *host.Host) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h.Handler(), ReadHeaderTimeout: drainTimeout}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	announced := map[string]string{"rpc": "http://" + listener.Addr().String() + "/rpc"}
	if err := json.NewEncoder(os.Stdout).Encode(announced); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		return server.Shutdown(drain)
	}
}
