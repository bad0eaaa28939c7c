package host_test

import (
	"encoding/json"
	"maps"
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
func imported(t *testing.T, dir, name string, src []byte) string {
	t.Helper()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	result, err := opensource.Import(src, opensource.Options{Name: name, WorkDir: dir, OutDir: dir, DataDir: data, Modified: time.Now()})
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

// importedAsRecorded are exchanges that a configuration can decide otherwise, and an imported one does not.
var importedAsRecorded = []string{
	// The name in the file means a certificate's subject, because there are no other callers.
	"mtls/acl-subject-named-loopback-gets-its-roles",
	// Every folder may be looked into.
	"namespace/local-verify-has-no-namespace",
	"namespace/local_bare-verify-has-no-namespace",
}

// decidedExternal are calls that are answered otherwise because no redirect of a provider is followed.
var decidedExternal = []decidedCall{
	{"external/every reply", 26, 200, 0},
	{"external/every reply", 27, 200, 0},
}

// TestImportedExchanges sends the recorded HTTP requests to hosts whose configurations were imported: one host for each
// configuration, in the order of the recording.
func TestImportedExchanges(t *testing.T) {
	var setups []recordedSetup
	cases := map[string][]wireCase{}
	readLines(t, filepath.Join("testdata", "wire_cases.jsonl"), func(n int, raw []byte) {
		var setup recordedSetup
		var c wireCase
		if err := json.Unmarshal(raw, &setup); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if setup.ConfigName != "" {
			setups = append(setups, setup)
			return
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		cases[c.Config] = append(cases[c.Config], c)
	})
	plugins(t) // before many ask at once
	decided := maps.Clone(decided)
	for _, name := range importedAsRecorded {
		delete(decided, name)
	}
	for _, setup := range setups {
		t.Run(setup.ConfigName, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			f := openWith(t, dir, imported(t, dir, "gate.json", listening(t, setup.Config)))
			for _, c := range cases[setup.ConfigName] {
				t.Run(c.Name, func(t *testing.T) { c.check(t, strings.TrimPrefix(f.URL, "http://"), decided) })
			}
		})
	}
}

// readImportable reads the recorded sequences and the configurations that they were recorded with, with every name expanded.
func readImportable(t *testing.T) (setups map[string]*recordedSetup, sequences []toolSequence) {
	t.Helper()
	setups = map[string]*recordedSetup{}
	var defs map[string]any
	readLines(t, filepath.Join("testdata", "tool_cases.jsonl"), func(n int, raw []byte) {
		text, err := json.Marshal(expand(exact(t, raw), defs))
		if err != nil {
			t.Fatal(err)
		}
		var setup recordedSetup
		var s toolSequence
		if err := json.Unmarshal(text, &setup); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if setup.ConfigName != "" {
			setups[setup.ConfigName] = &setup
			return
		}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		switch {
		case s.Defs != nil:
			defs = exact(t, raw).(map[string]any)["defs"].(map[string]any)
		case s.Steps != nil:
			sequences = append(sequences, s)
		}
	})
	return setups, sequences
}

// TestImportedSequences replays the recorded sequences, each on a fresh host whose configuration was imported.
func TestImportedSequences(t *testing.T) {
	setups, sequences := readImportable(t)
	plugins(t) // before many ask at once
	decided := map[string]map[int]decidedCall{}
	for _, d := range append(slices.Clone(decidedCalls), decidedExternal...) {
		if decided[d.sequence] == nil {
			decided[d.sequence] = map[int]decidedCall{}
		}
		decided[d.sequence][d.step] = d
	}
	for _, s := range sequences {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			replayImported(t, setups[s.Config], s.Steps, decided[s.Name])
		})
	}
}

func replayImported(t *testing.T, setup *recordedSetup, steps []toolStep, decided map[int]decidedCall) {
	dir := t.TempDir()
	stub := stubServer(t, setup.Stub, strings.NewReplacer("$ROOT", dir).Replace)
	r := &replay{t: t, fill: strings.NewReplacer("$ROOT", dir, "$STUB", stub, "$OUT", filepath.Join(dir, "out"), "$BIND", "127.0.0.1:0")}
	if err := os.Mkdir(filepath.Join(dir, "ev"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range setup.Files {
		writeFile(t, filepath.Join(dir, name), r.fill.Replace(text))
	}
	r.hcl = imported(t, dir, "gate.json", []byte(r.fill.Replace(string(setup.Config))))
	r.fixture = openWith(t, dir, r.hcl)
	r.run(steps, decided)
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
	fill := strings.NewReplacer("$ROOT", dir, "$BIND", "127.0.0.1:0")
	for name, text := range c.Files {
		writeFile(t, filepath.Join(dir, name), fill.Replace(text))
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

// writeFile writes a file, and makes the folders that it is in.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}
