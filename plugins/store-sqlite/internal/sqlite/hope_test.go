package sqlite

import (
	"encoding/binary"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// A batch with a commit that is refused or known is written again, and all others of it succeed once.
func TestHopefulTransactionThatIsDisappointed(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	known := store.Commit{ID: newID(), Ops: []store.Op{put(key("known"), "x", store.Absent())}}
	fresh := func(name string) store.Commit {
		return store.Commit{ID: newID(), Ops: []store.Op{put(key(name), "x", store.Absent()), {Kind: store.OpAdd, Key: key("n"), Delta: 1, Max: 9}}}
	}
	first, err := s.Commit(t.Context(), []store.Commit{known})
	if err != nil {
		t.Fatal(err)
	}
	// A repeat of this one looks as if it were to be refused.
	changed := store.Commit{ID: newID(), Ops: []store.Op{put(key("known"), "y", store.Version(first[0].Versions[0]))}}
	if first, err = s.Commit(t.Context(), []store.Commit{changed}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, store.Op{Kind: store.OpDelete, Key: key("known")}, put(key("removed"), "x", store.Absent()))
	commit(t, s, store.Op{Kind: store.OpDelete, Key: key("removed")})
	taken := fresh("a")
	for i, batch := range [][]store.Commit{
		{fresh("a"), changed, fresh("b")},
		{known},
		{fresh("c"), taken, fresh("d")},
		{fresh("e"), fresh("removed")},
	} {
		s.writer.careful = 0
		outcomes, err := s.Commit(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for j, o := range outcomes {
			switch refused := i == 2 && j == 1; {
			case refused != (o.Refusal != nil):
				t.Errorf("batch %d, commit %d: %+v", i, j, o)
			case i == 0 && j == 1 && o.Versions[0] != first[0].Versions[0]:
				t.Errorf("a repeat is answered %+v, first %+v", o, first[0])
			}
		}
		if s.writer.careful == 0 {
			t.Errorf("batch %d: hope was not disappointed; this test shows nothing", i)
		}
	}
	if n := binary.BigEndian.Uint64(get(t, s, key("n")).Body); n != 6 {
		t.Errorf("the counter is %d, want 6", n)
	}
	if get(t, s, key("known")).Version != 0 || get(t, s, key("removed")).Version == 0 {
		t.Error("a repeat was done again, or what was removed cannot be put")
	}
}
