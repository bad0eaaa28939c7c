package host_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/opensource"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// recordedSetup is a configuration of the open-source Decision Gate that calls were recorded with, and what lies beside it.
type recordedSetup struct {
	ConfigName string `json:"config_name"`
	Config     json.RawMessage
	Files      map[string]string
	Stub       map[string]stubPage
}

// imported is the configuration that "config import" makes in a folder from one of the open-source Decision Gate. All of
// the recorded ones are carried over whole.
func imported(t *testing.T, dir string, src []byte) string {
	t.Helper()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	result, err := opensource.Import(src, opensource.Options{Name: "gate.json", WorkDir: dir, OutDir: dir, DataDir: data, Modified: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.NotCarried {
		t.Errorf("not carried over: %s: %s", f.Path, f.Reason)
	}
	return "\n" + string(result.Text)
}

// listening gives a recorded configuration the address that its recording left out.
func listening(t *testing.T, src []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(src, &members); err != nil {
		t.Fatal(err)
	}
	members["server"].(map[string]any)["bind"] = "127.0.0.1:0"
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// recordedConfiguration is a configuration, and whether the open-source server starts with it.
type recordedConfiguration struct {
	Name   string
	Config json.RawMessage
	Files  map[string]string
	Starts bool
}

// withUnknownOptions start in the open-source server, which ignores what it does not know, and are refused here.
var withUnknownOptions = []string{"unknown top-level key ignored", "unknown nested key ignored", "providers/time config unknown key"}

// TestImportedConfigurations imports every recorded configuration with which the open-source server starts, and starts a host
// with it.
func TestImportedConfigurations(t *testing.T) {
	started := 0
	readLines(t, filepath.Join("internal", "opensource", "testdata", "config_cases.jsonl"), func(n int, raw []byte) {
		var c recordedConfiguration
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if !c.Starts || slices.Contains(withUnknownOptions, c.Name) {
			return
		}
		started++
		t.Run(c.Name, func(t *testing.T) { startImported(t, &c) })
	})
	if started != 147 {
		t.Errorf("%d configurations", started)
	}
}

// startImported starts a host on a store that needs no process, and asks whether it is alive.
func startImported(t *testing.T, c *recordedConfiguration) {
	dir := t.TempDir()
	fill, r := strings.NewReplacer("$ROOT", dir, "$BIND", "127.0.0.1:0"), replay{t: t}
	for name, text := range c.Files {
		r.write(filepath.Join(dir, name), fill.Replace(text))
	}
	result, err := opensource.Import([]byte(fill.Replace(string(c.Config))), opensource.Options{Name: "gate.json", WorkDir: dir, OutDir: dir, DataDir: dir, Modified: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(writeConfig(t, dir, "\n"+string(result.Text)))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: faultystore.New(), Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	h.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/healthz", nil))
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
