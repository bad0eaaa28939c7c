package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// TestMore has a shell read what the line about further pages says: the token, whatever it holds, is one word.
func TestMore(t *testing.T) {
	for _, token := range []string{"plain", "two words", `{"schema_id":"s","version":"1"}`, `x'; echo owned; '`, "$(echo owned) `echo owned` \\", "'", ""} {
		var out bytes.Buffer
		(&pageFlags{Limit: 1}).more(newScreen(&out), 1, &token)
		_, words, found := strings.Cut(out.String(), "--cursor ")
		got, err := exec.Command("/bin/sh", "-c", "printf '[%s]' "+words).CombinedOutput()
		if !found || err != nil || string(got) != "["+token+"]" {
			t.Errorf("%q: a shell reads %q, %v", token, got, err)
		}
	}
}
