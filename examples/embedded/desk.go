package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	"github.com/decision-gate-host/decision-gate-host/examples/embedded/journal"
	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// desk is the application: its tickets, and the host that decides on them.
type desk struct {
	tickets string // folder
	runs    *journal.Store
	gate    *host.Host
}

// open opens the journal and a host on it.
func open(ctx context.Context, data string, log *slog.Logger) (*desk, error) {
	tickets, runpacks := filepath.Join(data, "tickets"), filepath.Join(data, "runpacks")
	for _, folder := range []string{tickets, runpacks} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	runs, err := journal.Open(filepath.Join(data, "runs.journal"))
	if err != nil {
		return nil, err
	}
	settings := config.Default()
	settings.Evidence.JSON = &config.JSONEvidence{Root: tickets, RootID: "tickets", MaxBytes: maxTicket}
	settings.Runpack.Dirs = []string{runpacks}
	gate, err := host.Open(ctx, host.Config{Settings: settings, Store: runs, Logger: log})
	if err != nil {
		return nil, errors.Join(err, runs.Close())
	}
	return &desk{tickets: tickets, runs: runs, gate: gate}, nil
}

// close closes the host before what it stands on. No call may be in flight.
func (d *desk) close() error {
	return errors.Join(d.gate.Close(), d.runs.Close())
}

// routes are the desk's own, and the host's under a prefix.
func (d *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /tickets/{name}", d.putTicket)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !d.gate.Ready() {
			http.Error(w, "the gate is not ready", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("/gate/", http.StripPrefix("/gate", d.gate.Handler()))
	return mux
}

// maxTicket is the size in bytes of the largest ticket.
const maxTicket = 4096

// ticketName keeps the names of tickets from leading out of their folder.
var ticketName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// putTicket keeps a ticket, which is evidence from then on.
func (d *desk) putTicket(w http.ResponseWriter, r *http.Request) {
	// A page in a browser can send a form across sites without being asked for permission; it cannot send JSON.
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "want application/json", http.StatusUnsupportedMediaType)
		return
	}
	name := r.PathValue("name")
	ticket, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTicket))
	if err != nil || !json.Valid(ticket) || !ticketName.MatchString(name) {
		http.Error(w, "want a name of a-z, 0-9 and -, and a JSON ticket of at most 4096 bytes", http.StatusBadRequest)
		return
	}
	if err := d.keep(name+".json", ticket); err != nil {
		slog.ErrorContext(r.Context(), "a ticket could not be kept", "error", err)
		http.Error(w, "the ticket could not be kept", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// keep writes a file that is there whole or not at all: the gate may read it at any moment.
func (d *desk) keep(name string, content []byte) error {
	temporary := filepath.Join(d.tickets, ".new-"+rand.Text())
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return os.Rename(temporary, filepath.Join(d.tickets, name))
}
