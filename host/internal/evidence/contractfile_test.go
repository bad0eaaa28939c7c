package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// recordedContract is a contract file, or a path, and what the open-source Decision Gate says to it at start.
type recordedContract struct {
	Name, Path string
	File       *string
	Starts     bool
	Error      string
	ErrorFree  bool `json:"error_free"`
}

// TestRecordedContracts loads every recorded contract file. Of what the decoder or the system words, only the part before it
// counts, and the name of the member.
func TestRecordedContracts(t *testing.T) {
	recordings(t, "contracts.jsonl", func(t *testing.T, _ int, v canonical.Value) {
		var c recordedContract
		if err := json.Unmarshal(canonical.AppendValue(nil, v, canonical.Declared), &c); err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		if c.File != nil {
			if err := os.WriteFile(filepath.Join(root, "x.json"), []byte(*c.File), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := LoadContract("x", strings.ReplaceAll(c.Path, "$ROOT", root))
		var refused *CapabilityError
		switch {
		case c.Starts && err != nil:
			t.Errorf("%s: %v", c.Name, err)
		case !c.Starts && !errors.As(err, &refused):
			t.Errorf("%s: accepted", c.Name)
		case !c.Starts:
			if want := strings.ReplaceAll(c.Error, "$ROOT", root); !sameBeginning(refused.Text, want) {
				t.Errorf("%s:\n got %s\nwant %s", c.Name, refused.Text, want)
			}
		}
	})
}

// sameBeginning compares texts whose end is the decoder's own; members that are missing are named in both.
func sameBeginning(got, want string) bool {
	const parse, missing = "provider capability contract parse failed: ", "missing field `"
	switch {
	case got == want:
		return true
	case strings.Contains(want, missing):
		_, field, _ := strings.Cut(want, missing)
		field, _, _ = strings.Cut(field, "`")
		return strings.HasPrefix(got, parse) && strings.Contains(got, missing+field+"`")
	}
	for _, begin := range []string{parse, "provider capability contract read failed: ", "schema compilation failed for x.v: "} {
		if strings.HasPrefix(want, begin) {
			return strings.HasPrefix(got, begin)
		}
	}
	return false
}

// TestContractFiles are files that no recording has.
func TestContractFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(size int) string {
		contract := `{"provider_id":"x","name":"n","description":"d","transport":"mcp","config_schema":{},"checks":[],"notes":[]}`
		contract += strings.Repeat(" ", size-len(contract))
		path := filepath.Join(dir, fmt.Sprint(size))
		if err := os.WriteFile(path, []byte(contract), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		file(maxContract):     "",
		file(maxContract + 1): "contract_invalid: provider capability contract invalid: x: capability contract exceeds size limit",
		pipe:                  "contract_read_failed: provider capability contract read failed: " + pipe + ": not a regular file",
	} {
		_, err := LoadContract("x", path)
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// TestHostileSchema: clients choose what is checked by the schemas of a contract file, so that checking must end.
func TestHostileSchema(t *testing.T) {
	contract := contractOf("p")
	nested, err := canonical.Parse([]byte(`{"$defs":{"a":{"minItems":1,"anyOf":[{"items":{"$ref":"#/$defs/a"}},{"items":{"$ref":"#/$defs/a"}}]}},"$ref":"#/$defs/a"}`))
	if err != nil {
		t.Fatal(err)
	}
	contract.Checks[0].ParamsSchema = nested
	r := newRegistry(t, Options{})
	if err := r.Register("p", stub(nil), contract); err != nil {
		t.Fatal(err)
	}
	params, err := canonical.Parse([]byte(strings.Repeat("[", 60) + strings.Repeat("]", 60)))
	if err != nil {
		t.Fatal(err)
	}
	q := conditions("p")[0].Query
	q.Params = &params
	if err := r.ValidateQuery(q); err == nil { // it would take 2^60 steps
		t.Error("the innermost array has no items, and is valid")
	}
}
