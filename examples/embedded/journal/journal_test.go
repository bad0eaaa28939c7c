package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func key(name string) store.Key {
	return store.Key{Collection: "runs", Tenant: 1, Namespace: 2, Path: [][]byte{[]byte(name)}}
}

func put(t *testing.T, s *Store, id byte, name string) {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: [16]byte{id}, Ops: []store.Op{{Kind: store.OpPut, Key: key(name), Body: []byte(name)}}}})
	if err != nil || outcomes[0].Refusal != nil {
		t.Fatalf("%+v, %v", outcomes, err)
	}
}

// kept opens a journal and says which of the records are there.
func kept(t *testing.T, path string, names ...string) (present string, err error) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		return "", err
	}
	defer s.Close()
	for _, name := range names {
		records, err := s.Get(t.Context(), []store.Key{key(name)})
		if err != nil {
			t.Fatal(err)
		}
		if records[0].Version > 0 {
			present += name
		}
	}
	// It must be writable, too, and what is written readable.
	put(t, s, 99, "z")
	return present, nil
}

// TestDamage opens journals that a crash, a disk or a person has changed.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "whole")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, "a")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	second := info.Size() // where the frame of b begins
	put(t, s, 2, "b")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int64) []byte {
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		return changed
	}
	for name, test := range map[string]struct {
		file    []byte
		present string
		reason  fault.Reason // of the refusal
	}{
		"whole":                       {whole, "ab", ""},
		"empty":                       {nil, "", ""},
		"cut in its title":            {whole[:5], "", ""},
		"cut in the last frame":       {whole[:len(whole)-1], "a", ""},
		"cut in the last header":      {whole[:second+10], "a", ""},
		"damaged in its last frame":   {flipped(int64(len(whole)) - 1), "", fault.Corrupt},
		"grown before it was written": {append(bytes.Clone(whole), make([]byte, 100)...), "ab", ""},
		"zeros in the middle":         {append(append(bytes.Clone(whole), make([]byte, 100)...), 1), "", fault.Corrupt},
		"damaged in its first frame":  {flipped(second - 1), "", fault.Corrupt},
		"another length":              {flipped(int64(len(title))), "", fault.Corrupt},
		"another file":                {[]byte("SQLite format 3\x00 and what follows it"), "", fault.Invalid},
		"from the future":             {append([]byte(titleBegins+"2\n"), whole[len(title):]...), "", fault.Unimplemented},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(path, test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			present, err := kept(t, path, "a", "b")
			if test.reason != "" {
				left, readErr := os.ReadFile(path)
				if !fault.Is(err, test.reason) || readErr != nil || !bytes.Equal(left, test.file) {
					t.Fatalf("%v, want %s and the file untouched", err, test.reason)
				}
				return
			}
			if err != nil || present != test.present {
				t.Fatalf("%q is there, want %q: %v", present, test.present, err)
			}
			if again, err := kept(t, path, "a", "b", "z"); err != nil || again != test.present+"z" {
				t.Errorf("after a restart %q is there: %v", again, err)
			}
		})
	}
}
