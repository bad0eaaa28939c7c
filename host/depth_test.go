package host_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeepestEvidence decides on evidence as deep as a document may be, which is deeper still inside the step that records
// it: what was written can be read again, and exported.
func TestDeepestEvidence(t *testing.T) {
	f := open(t, t.TempDir())
	deep := strings.Repeat("[", 127) + strings.Repeat("]", 127)
	if err := os.WriteFile(filepath.Join(f.Dir, "evidence", "deep.json"), []byte(deep), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := strings.NewReplacer(
		`"query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true`,
		`"query":{"provider_id":"json","check_id":"path","params":{"file":"deep.json"}},"comparator":"exists"`,
	).Replace(loop)
	f.must("scenario_define", json.RawMessage(`{"spec":`+spec+`}`), nil)
	f.must("scenario_start", start("r"), nil)
	got := newAcknowledged()
	for range 2 {
		var d decision
		f.must("scenario_next", next("r", "t1"), &d)
		got.add(t, "r", d)
	}
	got.check(f)
}
