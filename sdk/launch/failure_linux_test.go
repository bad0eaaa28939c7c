package launch_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

// TestNotExecuted starts files that the system cannot execute, pinned and not, and expects to be told why.
func TestNotExecuted(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ text, dir, want string }{
		"no interpreter":  {"#!/no/such/python -u\n", "", `names the interpreter "/no/such/python -u" in its first line, which is not there`},
		"line end of DOS": {"#!/bin/sh\r\nexit 1\r\n", "", `names the interpreter "/bin/sh\r"`},
		"no script":       {"print('hello')\n", "", `nor a script whose first line is "#!"`},
		"no folder":       {"#!/bin/sh\n", filepath.Join(dir, "absent"), "absent to run it in is not there"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(test.text), 0o755); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(test.text))
		for _, pin := range [][]byte{nil, sum[:]} {
			_, err := launch.Start(t.Context(), launch.Spec{Name: "test", Path: path, SHA256: pin, Dir: test.dir})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, pinned %v: %v", name, pin != nil, err)
			}
		}
	}
	wantNoSockets(t)
}
