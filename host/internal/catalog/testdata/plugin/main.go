// Command plugin is every plugin of the catalog's tests: its first argument says how it behaves.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func main() {
	switch mode := os.Args[1]; mode {
	case "garbage":
		fmt.Println("hello world")
		time.Sleep(time.Hour)
	case "exit":
		fmt.Fprintln(os.Stderr, "no such licence")
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "runpack":
		sdk.Serve(sdk.Plugin{Name: "runpack-test", Version: "1.0.0", OpenRunpack: func(context.Context, json.RawMessage) (runpack.Sink, error) {
			return &sink{begun: map[string]bool{}}, nil
		}})
	case "evidence":
		serveEvidence()
	case "once":
		// Starts only while there is no file of this name, which it makes.
		if f, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "started before")
			os.Exit(4)
		} else {
			f.Close()
		}
		serveStore()
	default:
		serveStore()
	}
}

func serveStore() {
	sdk.Serve(sdk.Plugin{
		Name: "store-test", Version: "1.2.3", Capabilities: capabilities(),
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "path", Type: sdk.String, Help: "File that keeps the commits."},
			{Name: "unready", Type: sdk.String, Help: "File whose text says why the store is not ready."},
			{Name: "size", Type: sdk.Integer, Minimum: "1", Maximum: "9"},
			{Name: "password", Type: sdk.String, Secret: true},
		}},
		OpenStore: open,
	})
}

func capabilities() []string {
	if shared {
		return []string{"changes"}
	}
	return []string{"memory"}
}

func open(_ context.Context, config json.RawMessage) (store.Store, error) {
	s := &memory{records: map[string]store.Record{}, done: map[[16]byte]store.Outcome{}}
	if err := json.Unmarshal(config, &s.settings); err != nil {
		return nil, err
	}
	if s.settings.Password == "wrong" {
		return nil, fault.New(fault.Invalid, "config password: the backend refuses it")
	}
	if s.settings.Password == "hang on open" {
		select {}
	}
	sdk.Logger().Warn("opened", "secret_seen", os.Getenv("CATALOG_TEST_SECRET"), "allowed", os.Getenv("CATALOG_TEST_ALLOWED"))
	return s, s.load()
}

// Health is what the file "unready" says.
func (m *memory) Health(context.Context) error {
	text, err := os.ReadFile(m.settings.Unready)
	if errors.Is(err, os.ErrNotExist) || m.settings.Unready == "" {
		return nil
	}
	return fault.New(fault.Unavailable, "%s", text)
}

// act does what the last segment of a key asks for.
func act(ctx context.Context, key store.Key) error {
	switch string(key.Path[len(key.Path)-1]) {
	case "crash":
		go func() { panic("the store is broken") }()
		<-ctx.Done()
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	case "corrupt":
		return fault.New(fault.Corrupt, "bytes have changed")
	case "denied":
		return fault.New(fault.Denied, "the password has expired")
	case "busy":
		return fault.New(fault.Unavailable, "try again")
	case "exit":
		slog.Error("leaving")
		os.Exit(5)
	}
	return nil
}

// sink knows unfinished bundles in its own process alone.
type sink struct {
	runpack.Sink
	mu    sync.Mutex
	begun map[string]bool
}

func (*sink) Open(_ context.Context, uri, path string) (io.ReadCloser, error) {
	if uri == "corrupt" {
		return nil, fault.New(fault.Corrupt, "bytes have changed")
	}
	if uri == "endless" {
		return os.Open("/dev/zero")
	}
	return io.NopCloser(os.NewFile(0, path)), nil
}

func (s *sink) Begin(context.Context, runpack.Key, map[string]string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun["id"] = true
	return "id", nil
}

// known refuses a bundle that another process has begun.
func (s *sink) known(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun[id] {
		return fault.New(fault.NotFound, "no bundle %s was begun", id)
	}
	return nil
}

func (s *sink) Write(_ context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	if err := s.known(id); err != nil {
		return runpack.Written{}, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, content)
	return runpack.Written{Size: uint64(size), SHA256: [32]byte(sum.Sum(nil))}, err
}

func (s *sink) Finish(_ context.Context, id, _ string, _ [32]byte) (string, error) {
	return "test:" + id, s.known(id)
}

func (s *sink) Abort(_ context.Context, id string) error { return s.known(id) }

func (*sink) List(_ context.Context, tenant, _ uint64, yield func(runpack.Bundle) error) error {
	for i := range 3 {
		if err := yield(runpack.Bundle{URI: fmt.Sprintf("test:%d", i), Key: runpack.Key{Tenant: tenant}, ManifestPath: "manifest.json"}); err != nil {
			return err
		}
	}
	return nil
}
func (*sink) Close() error { return nil }
