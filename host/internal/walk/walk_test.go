package walk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestCursorReadsWhatAScanDoes(t *testing.T) {
	s := faultystore.New()
	for i := range 2*pageRecords + 3 {
		body := "x"
		if i%200 == 0 {
			body = strings.Repeat("x", pageBytes)
		}
		key := store.Key{Collection: "c", Tenant: 1, Namespace: 2, Path: [][]byte{[]byte(fmt.Sprint(i % 3)), store.Uint64Segment(uint64(i))}}
		if _, err := s.Commit(t.Context(), []store.Commit{{ID: [16]byte{byte(i), byte(i >> 8)}, Ops: []store.Op{{Kind: store.OpPut, Key: key, Body: []byte(body)}}}}); err != nil {
			t.Fatal(err)
		}
	}
	all := store.Scan{Collection: "c", Tenant: 1, Namespace: 2}
	prefix, limited, exact, after, none := all, all, all, all, all
	prefix.Prefix = [][]byte{[]byte("1")}
	limited.Limit = pageRecords + 7
	exact.Limit = pageRecords
	after.StartAfter = [][]byte{[]byte("1"), store.Uint64Segment(100)}
	none.Collection = "d"
	for name, scan := range map[string]store.Scan{"all": all, "prefix": prefix, "limited": limited, "exact": exact, "after": after, "none": none} {
		cursor := New(t.Context(), s, scan)
		n := 0
		err := s.Scan(t.Context(), scan, func(want store.Record) error {
			got, err := cursor.Peek()
			if err != nil || got == nil || got.Key.Compare(want.Key) != 0 || got.SHA256 != want.SHA256 {
				return fmt.Errorf("record %d is %v, %v", n, got, err)
			}
			cursor.Next()
			n++
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := cursor.Peek(); got != nil || err != nil {
			t.Errorf("%s: after the end: %v, %v", name, got, err)
		}
		if (n == 0) != (name == "none") {
			t.Errorf("%s: %d records", name, n)
		}
	}
}

func TestCursorKeepsItsError(t *testing.T) {
	s := faultystore.New()
	broken := errors.New("broken")
	s.Around(func(_ context.Context, _ faultystore.Call, _ func()) error { return broken })
	cursor := New(t.Context(), s, store.Scan{Collection: "c"})
	for range 2 {
		if _, err := cursor.Peek(); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
}
