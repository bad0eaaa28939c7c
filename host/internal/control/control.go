// Package control is how an operator of the machine asks a running host about its plugins and tells it to replace them: JSON
// over HTTP on a Unix socket that only the host's own user, and root, can open. What clients reach serves none of it: whoever
// could restart plugins or read their logs from there would be one mistake in the configuration away.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

// Reloaded is what a reload did.
type Reloaded struct {
	Plugins []catalog.Swapped `json:"plugins"`
	// Restart names the blocks of the configuration that have changed and take effect only when the host is restarted.
	Restart []string `json:"restart"`
}

// Host is what is controlled.
type Host interface {
	// Details are those of every plugin.
	Details() []catalog.Detail
	// Restart replaces the process of one plugin; the error wraps catalog.ErrNoPlugin when there is no such plugin.
	Restart(ctx context.Context, kind, name string) (catalog.Swapped, error)
	// Reload reads the configuration anew.
	Reload(ctx context.Context) (*Reloaded, error)
}

// failure is the body of an answer that is not 200.
type failure struct {
	Error string `json:"error"`
}

// Handler serves a host's control.
func Handler(host Host) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plugins", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, host.Details(), nil)
	})
	mux.HandleFunc("POST /plugins/{kind}/{name}/restart", func(w http.ResponseWriter, r *http.Request) {
		swapped, err := host.Restart(r.Context(), r.PathValue("kind"), r.PathValue("name"))
		answer(w, swapped, err)
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		reloaded, err := host.Reload(r.Context())
		answer(w, reloaded, err)
	})
	return mux
}

func answer(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case errors.Is(err, catalog.ErrNoPlugin):
		w.WriteHeader(http.StatusNotFound)
	case err != nil:
		w.WriteHeader(http.StatusConflict)
	}
	if err != nil {
		value = failure{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(value)
}
