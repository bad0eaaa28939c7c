package sqlite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Whatever byte of a database changes: every record is what it was, or there is an error. Nothing is missing without a word,
// and no record can be made a second time because the first is hidden.
func TestChangedPages(t *testing.T) {
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	const n = 60
	want := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("%03d", i)
		want[name] = strings.Repeat(name, 30+i%7*200)
		commit(t, s, put(key(name), want[name], store.Absent()))
	}
	for i := range n / 3 {
		commit(t, s, store.Op{Kind: store.OpDelete, Key: key(fmt.Sprintf("%03d", i))})
		delete(want, fmt.Sprintf("%03d", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(options.Path)
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096
	page := func(n int) []byte { return whole[n*pageSize:][:pageSize] }
	pages := len(whole) / pageSize
	in := func(change func(page []byte, n int)) func([]byte, int) []byte {
		return func(file []byte, n int) []byte { change(file[n*pageSize:][:pageSize], n); return file }
	}
	damage := map[string]func(file []byte, n int) []byte{
		"header of the page": in(func(page []byte, _ int) { page[rand.IntN(16)] ^= 1 << rand.IntN(8) }),
		"any byte":           in(func(page []byte, _ int) { page[rand.IntN(pageSize)] ^= byte(1 + rand.IntN(255)) }),
		"zeros":              in(func(page []byte, _ int) { clear(page) }),
		"half a page":        in(func(page []byte, _ int) { clear(page[pageSize/2:]) }),
		"cut":                func(file []byte, n int) []byte { return file[:n*pageSize+1+rand.IntN(pageSize-1)] },
		"cut in the last page": func(file []byte, n int) []byte {
			return file[:(pages-1)*pageSize+1+(n*(pageSize-1)/pages)]
		},
		"the size of what is reserved, the format or the version": func(file []byte, n int) []byte {
			file[[]int{18, 19, 20, 63, 68}[n%5]] ^= 1 << rand.IntN(8)
			return file
		},
	}
	refused := 0
	for name, do := range damage {
		for n := rand.IntN(2); n < pages; n += 2 {
			damaged := testOptions(t.TempDir())
			file := do(append([]byte(nil), whole...), n)
			if string(file) == string(whole) {
				continue
			}
			if err := os.WriteFile(damaged.Path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			if answersAsBefore(t, fmt.Sprintf("%s, page %d of %d, which begins % x", name, n+1, pages, page(n)[:12]), damaged, want) != nil {
				refused++
			}
			os.RemoveAll(filepath.Dir(damaged.Path))
		}
	}
	if refused < pages/2 {
		t.Errorf("only %d of the damages were noticed", refused)
	}
}

// answersAsBefore compares all that the store answers, and returns the first error.
func answersAsBefore(t *testing.T, what string, options Options, want map[string]string) error {
	t.Helper()
	s, err := Open(t.Context(), options)
	if err != nil {
		return err
	}
	defer s.Close()
	found := map[string]string{}
	scanErr := s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(r store.Record) error {
		found[string(r.Key.Path[0])] = string(r.Body)
		return nil
	})
	if scanErr == nil && !maps.Equal(found, want) {
		t.Errorf("%s: the scan answers %d of %d records, or other ones", what, len(found), len(want))
	}
	for name, body := range want {
		records, getErr := s.Get(t.Context(), []store.Key{key(name)})
		if getErr == nil && string(records[0].Body) != body {
			t.Errorf("%s: %s is not what was written", what, name)
		}
		outcomes, putErr := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{put(key(name), "again", store.Absent())}}})
		if putErr == nil && outcomes[0].Refusal == nil {
			t.Errorf("%s: %s was made a second time", what, name)
		}
		for _, e := range []error{scanErr, getErr, putErr} {
			if e != nil && !fault.Is(e, fault.Corrupt) {
				t.Errorf("%s: %v, want CORRUPT", what, e)
			}
			if err == nil {
				err = e
			}
		}
	}
	return err
}

// A file that ends within a page of keys: were what is missing taken for zeros, records would be hidden.
func TestCutWithinPageOfKeys(t *testing.T) {
	options := testOptions(t.TempDir())
	want := map[string]string{}
	const pageSize, pageOfKeys = 4096, 0x0a
	var whole []byte
	for len(whole) == 0 || whole[len(whole)-pageSize] != pageOfKeys {
		s := mustOpen(t, options)
		name := strings.Repeat("k", 200) + fmt.Sprintf("%03d", len(want))
		want[name] = "x"
		commit(t, s, put(key(name), "x", store.Absent()))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if whole, err = os.ReadFile(options.Path); err != nil || len(want) > 200 {
			t.Fatalf("no page of keys is the last: %v", err)
		}
	}
	for cut := 64; cut < pageSize; cut += 192 {
		damaged := testOptions(t.TempDir())
		if err := os.WriteFile(damaged.Path, whole[:len(whole)-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if answersAsBefore(t, fmt.Sprintf("%d bytes cut", cut), damaged, want) == nil {
			t.Errorf("%d bytes cut: not noticed", cut)
		}
	}
}
