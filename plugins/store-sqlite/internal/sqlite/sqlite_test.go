package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testOptions are those of a store in dir.
func testOptions(dir string) Options {
	return Options{Path: filepath.Join(dir, "dg.db"), BusyTimeout: 5 * time.Second, CommitIDLifetime: store.CommitIDLifetime}
}

func mustOpen(t testing.TB, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

var lastID atomic.Uint64

// newID answers ids ordered by time.
func newID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli()))
	binary.BigEndian.PutUint64(id[8:], lastID.Add(1))
	return id
}

func key(segments ...string) store.Key {
	k := store.Key{Collection: "runs", Tenant: 1, Namespace: 2}
	for _, s := range segments {
		k.Path = append(k.Path, []byte(s))
	}
	return k
}

func put(k store.Key, body string, expect store.Expect) store.Op {
	return store.Op{Kind: store.OpPut, Key: k, Body: []byte(body), Expect: expect}
}

// commit makes one commit that must not meet an error.
func commit(t testing.TB, s *Store, ops ...store.Op) store.Outcome {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: ops}})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes[0]
}

func get(t testing.TB, s *Store, k store.Key) store.Record {
	t.Helper()
	records, err := s.Get(t.Context(), []store.Key{k})
	if err != nil {
		t.Fatal(err)
	}
	return records[0]
}

func TestVersionsGrowAndNeverRepeat(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	k := key("a")
	first := commit(t, s, put(k, "one", store.Absent())).Versions[0]
	second := commit(t, s, put(k, "two", store.Version(first))).Versions[0]
	removed := commit(t, s, store.Op{Kind: store.OpDelete, Key: k, Expect: store.Version(second)})
	if removed.Refusal != nil || removed.Versions[0] != 0 {
		t.Fatalf("delete: %+v", removed)
	}
	if r := get(t, s, k); r.Version != 0 || r.Body != nil {
		t.Fatalf("a removed record is still read: %+v", r)
	}
	third := commit(t, s, put(k, "three", store.Absent())).Versions[0]
	if first == 0 || second <= first || third <= second {
		t.Fatalf("versions %d, %d, %d do not grow", first, second, third)
	}
	r := get(t, s, k)
	if r.Version != third || string(r.Body) != "three" || r.SHA256 != sha256.Sum256([]byte("three")) {
		t.Fatalf("%+v", r)
	}
	for _, e := range []store.Expect{store.Absent(), store.Version(first), store.Version(math.MaxUint64), store.Version(1 << 63)} {
		if o := commit(t, s, put(key("b"), "x", store.Any()), put(k, "never", e)); o.Refusal == nil || o.Refusal.Reason != store.Conflict || o.Refusal.Op != 1 || o.Refusal.Version != third {
			t.Errorf("%+v: %+v", e, o.Refusal)
		}
	}
	if r := get(t, s, key("b")); r.Version != 0 {
		t.Error("a refused commit wrote its first op")
	}
	if o := commit(t, s, store.Op{Kind: store.OpDelete, Key: key("nobody")}); o.Refusal != nil {
		t.Errorf("removing what is not there: %+v", o.Refusal)
	}
}

func TestCommitIDs(t *testing.T) {
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	c := store.Commit{ID: newID(), Ops: []store.Op{{Kind: store.OpAdd, Key: key("n"), Delta: 1, Max: 10}, put(key("a"), "x", store.Absent()), {Kind: store.OpDelete, Key: key("z")}}}
	refused := store.Commit{ID: newID(), Ops: []store.Op{put(key("a"), "y", store.Absent())}}
	other := store.Commit{ID: c.ID, Ops: c.Ops[:2]}
	outcomes, err := s.Commit(t.Context(), []store.Commit{c, c, refused, other})
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Refusal != nil || fmt.Sprint(outcomes[0]) != fmt.Sprint(outcomes[1]) {
		t.Errorf("a repeat in one request: %+v, %+v", outcomes[0], outcomes[1])
	}
	if outcomes[2].Refusal == nil || outcomes[2].Refusal.Reason != store.Conflict {
		t.Errorf("%+v", outcomes[2])
	}
	if outcomes[3].Refusal == nil || outcomes[3].Refusal.Reason != store.Invalid {
		t.Errorf("an id with other ops: %+v", outcomes[3])
	}
	commit(t, s, store.Op{Kind: store.OpDelete, Key: key("a")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, options)
	again, err := s.Commit(t.Context(), []store.Commit{c, refused})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(again[0]) != fmt.Sprint(outcomes[0]) {
		t.Errorf("after a restart: %+v, first %+v", again[0], outcomes[0])
	}
	if again[1].Refusal != nil {
		t.Errorf("a refused commit is not evaluated again: %+v", again[1].Refusal)
	}
	if n := binary.BigEndian.Uint64(get(t, s, key("n")).Body); n != 1 {
		t.Errorf("the counter is %d after repeats", n)
	}
}

func TestCommitIDsExpireInSmallPieces(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	start := time.Now()
	var clock atomic.Int64
	clock.Store(start.Unix())
	s.writer.now = func() time.Time { return time.Unix(clock.Load(), 0) }
	const old, batch = 6 * expireEvery, expireEvery / 2
	n := 0
	commitBatch := func() {
		commits := make([]store.Commit, batch)
		for i := range commits {
			n++
			commits[i] = store.Commit{ID: newID(), Ops: []store.Op{put(key(fmt.Sprint(n)), "", store.Any())}}
		}
		if _, err := s.Commit(t.Context(), commits); err != nil {
			t.Fatal(err)
		}
	}
	for range old / batch {
		commitBatch()
	}
	kept := func() int64 {
		c, err := openConn(s.options.Path, "", readOnly, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		n, err := c.number(`SELECT count(*) FROM commits`)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	clock.Store(start.Add(store.CommitIDLifetime).Unix())
	commitBatch()
	commitBatch()
	if n := kept(); n != old+2*batch {
		t.Fatalf("%d ids are kept for the lifetime, want %d", n, old+2*batch)
	}
	clock.Store(start.Add(store.CommitIDLifetime + time.Minute).Unix())
	before, recent := kept(), int64(2*batch)
	for range 2 * old / batch {
		commitBatch()
		recent += batch
		after := kept()
		if removed := before + batch - after; removed > expireEvery+batch+expireAhead {
			t.Fatalf("one transaction removed %d ids", removed)
		}
		before = after
	}
	if before != recent {
		t.Errorf("%d ids are kept, want the %d recent ones", before, recent)
	}
}

func TestAdd(t *testing.T) {
	tests := []struct {
		value uint64
		delta int64
		limit uint64
		want  uint64
		ok    bool
	}{
		{0, 1, 1, 1, true},
		{1, 1, 1, 0, false},
		{0, 0, 0, 0, true},
		{0, -1, 5, 0, false},
		{5, -5, 5, 0, true},
		{0, math.MinInt64, 5, 0, false},
		{math.MaxInt64, math.MinInt64, 5, 0, false},
		{1 << 63, math.MinInt64, 5, 0, true},
		{0, math.MaxInt64, math.MaxInt64, math.MaxInt64, true},
		{1, math.MaxInt64, math.MaxInt64, 0, false},
		{math.MaxUint64, 1, math.MaxInt64, 0, false},
		{math.MaxUint64, math.MaxInt64, math.MaxInt64, 0, false},
		{9, -1, 5, 8, true},
		{9, 0, 5, 9, true},
		{9, 1, 5, 0, false},
	}
	for _, tt := range tests {
		got, ok := add(tt.value, tt.delta, tt.limit)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("add(%d, %d, %d) = %d, %v; want %d, %v", tt.value, tt.delta, tt.limit, got, ok, tt.want, tt.ok)
		}
	}
}

func TestCountersNeverOvershoot(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	const limit, writers, each = 50, 8, 10
	var committed atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				o := commit(t, s, store.Op{Kind: store.OpAdd, Key: key("n"), Delta: 1, Max: limit})
				switch {
				case o.Refusal == nil:
					committed.Add(1)
				case o.Refusal.Reason != store.Limit:
					t.Errorf("%+v", o.Refusal)
				}
			}
		})
	}
	wg.Wait()
	if n := binary.BigEndian.Uint64(get(t, s, key("n")).Body); n != limit || committed.Load() != limit {
		t.Errorf("the counter is %d after %d commits, want %d", n, committed.Load(), limit)
	}
	commit(t, s, put(key("text"), "no counter", store.Any()))
	if o := commit(t, s, store.Op{Kind: store.OpAdd, Key: key("text"), Delta: 1, Max: 9}); o.Refusal == nil || o.Refusal.Reason != store.Invalid {
		t.Errorf("%+v", o)
	}
}

// Many callers share transactions: that is what one sync for all of them means.
func TestConcurrentCommitsShareTransactions(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	const callers, each = 32, 20
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				if o := commit(t, s, put(key(fmt.Sprint(i), fmt.Sprint(j)), "x", store.Absent())); o.Refusal != nil {
					t.Errorf("%+v", o.Refusal)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	if err := s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(store.Record) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	if n != callers*each {
		t.Errorf("%d records, want %d", n, callers*each)
	}
	if got := s.work.transactions.Load(); got*2 > callers*each {
		t.Errorf("%d transactions for %d commits: they are not grouped", got, callers*each)
	}
}

func TestScanPages(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	const n = 10
	body := bytes.Repeat([]byte{0, 0xFF, 'x'}, store.ScanPage/6)
	for i := range n {
		commit(t, s, put(key("p", fmt.Sprintf("%02d", i)), string(body), store.Any()))
	}
	commit(t, s, put(key("p"), "", store.Any()), put(key("p\x00"), "", store.Any()), put(key("q"), "", store.Any()))
	tests := []struct {
		name string
		scan store.Scan
		want string
	}{
		{"prefix", store.Scan{Prefix: [][]byte{[]byte("p")}}, "p p/00 p/01 p/02 p/03 p/04 p/05 p/06 p/07 p/08 p/09"},
		{"all backwards", store.Scan{Reverse: true, Limit: 4}, "q p\x00 p/09 p/08"},
		{"limit over pages", store.Scan{Limit: 5}, "p p/00 p/01 p/02 p/03"},
		{"start after a path goes on with what it begins", store.Scan{StartAfter: [][]byte{[]byte("p")}, Limit: 2}, "p/00 p/01"},
		{"start after what is not there", store.Scan{StartAfter: [][]byte{[]byte("p"), []byte("075")}}, "p/08 p/09 p\x00 q"},
		{"backwards from", store.Scan{Reverse: true, StartAfter: [][]byte{[]byte("p"), []byte("02")}}, "p/01 p/00 p"},
		{"start before the prefix", store.Scan{Prefix: [][]byte{[]byte("q")}, StartAfter: [][]byte{[]byte("a")}}, "q"},
		{"start after the prefix", store.Scan{Prefix: [][]byte{[]byte("p")}, StartAfter: [][]byte{[]byte("q")}}, ""},
	}
	for _, tt := range tests {
		tt.scan.Collection, tt.scan.Tenant, tt.scan.Namespace = "runs", 1, 2
		var got []string
		err := s.Scan(t.Context(), tt.scan, func(r store.Record) error {
			if len(r.Key.Path) == 2 && !bytes.Equal(r.Body, body) {
				t.Error("a body changed")
			}
			got = append(got, string(bytes.Join(r.Key.Path, []byte("/"))))
			return nil
		})
		if joined := strings.Join(got, " "); err != nil || joined != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, joined, err, tt.want)
		}
	}
	stop := errors.New("stop")
	if err := s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(store.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

func TestGetIsBounded(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	body := string(make([]byte, store.MaxBody))
	var keys []store.Key
	for i := range 3 {
		keys = append(keys, key(fmt.Sprint(i)))
		if o := commit(t, s, put(keys[i], body, store.Any())); o.Refusal != nil {
			t.Fatalf("%+v", o.Refusal)
		}
	}
	if r := get(t, s, keys[0]); len(r.Body) != store.MaxBody {
		t.Errorf("%d bytes", len(r.Body))
	}
	if _, err := s.Get(t.Context(), keys); !fault.Is(err, fault.TooLarge) {
		t.Errorf("96 MiB in one Get: %v", err)
	}
	if o := commit(t, s, put(keys[0], body, store.Any()), put(keys[1], body, store.Any())); o.Refusal != nil {
		t.Fatalf("two of the largest bodies in one commit: %+v", o.Refusal)
	}
}

func TestChangesTellAllAndFollow(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	const writers, each = 4, 50
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := map[string]uint64{}
	deleted := false
	done := make(chan error, 1)
	go func() {
		last := uint64(0)
		done <- s.Changes(ctx, 0, func(set store.ChangeSet) error {
			for _, c := range set.Changes {
				if c.Revision <= last || c.Revision > set.Complete {
					t.Errorf("revision %d after %d, complete %d", c.Revision, last, set.Complete)
				}
				last = c.Revision
				seen[string(store.AppendKey(nil, c.Key))] = c.Revision
				deleted = deleted || c.Deleted
			}
			if deleted {
				cancel()
			}
			return nil
		})
	}()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				commit(t, s, put(key(fmt.Sprint(i, j)), "x", store.Any()))
			}
		})
	}
	wg.Wait()
	commit(t, s, store.Op{Kind: store.OpDelete, Key: key(fmt.Sprint(0, 0))})
	if err := <-done; !fault.Is(err, fault.Unavailable) {
		t.Errorf("a cancelled follower: %v", err)
	}
	if len(seen) != writers*each || !deleted {
		t.Errorf("%d records were told, want %d", len(seen), writers*each)
	}
	for _, after := range []uint64{writers*each + 2, math.MaxInt64 + 1, math.MaxUint64} {
		if err := s.Changes(t.Context(), after, func(store.ChangeSet) error { return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("following from revision %d, which the store never gave: %v", after, err)
		}
	}
}

func TestEndedContextsAndClosedStores(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	commit(t, s, put(key("a"), "x", store.Any()))
	calls := map[string]func(context.Context) error{
		"Get":  func(ctx context.Context) error { _, err := s.Get(ctx, []store.Key{key("a")}); return err },
		"Scan": func(ctx context.Context) error { return s.Scan(ctx, store.Scan{Collection: "runs"}, nil) },
		"Commit": func(ctx context.Context) error {
			_, err := s.Commit(ctx, []store.Commit{{Ops: []store.Op{put(key("a"), "", store.Any())}}})
			return err
		},
		"Changes":  func(ctx context.Context) error { return s.Changes(ctx, 0, func(store.ChangeSet) error { return nil }) },
		"Describe": func(ctx context.Context) error { _, err := s.Describe(ctx); return err },
	}
	ended, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, call := range calls {
		if err := call(ended); !fault.Is(err, fault.Deadline) {
			t.Errorf("%s after its deadline: %v", name, err)
		}
	}
	if r := get(t, s, key("a")); string(r.Body) != "x" {
		t.Errorf("after calls that were cut off: %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		if err := call(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s of a closed store: %v", name, err)
		}
	}
}

// People look at a store with the sqlite3 program.
func TestLiveViewIsReadable(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	k := store.Key{Collection: "scenarios", Tenant: math.MaxUint64, Namespace: 10, Path: [][]byte{[]byte("deploy")}}
	commit(t, s, put(k, `{"a":1}`, store.Any()), put(key("gone"), "x", store.Any()))
	commit(t, s, store.Op{Kind: store.OpDelete, Key: key("gone")})
	c, err := openConn(s.options.Path, "", readOnly, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	got, err := c.text(`SELECT group_concat(collection || ' ' || tenant || ' ' || namespace || ' ' || hex(path) || ' ' || body) FROM live`)
	if want := `scenarios FFFFFFFFFFFFFFFF 000000000000000A 6465706C6F790001 {"a":1}`; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// What is read back from the file may be anything.
func FuzzDecodeOutcome(f *testing.F) {
	f.Add(encodeOutcome(store.Outcome{Revision: 7, Versions: []uint64{7, 0, math.MaxUint64}}))
	f.Add([]byte{0x80})
	f.Add([]byte{1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOutcome(b)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := decodeOutcome(encodeOutcome(o))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(o) {
			t.Errorf("%+v became %+v, %v", o, again, err)
		}
	})
}

func TestConfig(t *testing.T) {
	open := Plugin("1.0.0", "").OpenStore
	path := filepath.Join(t.TempDir(), "dg.db")
	body := func(busy, lifetime string) []byte {
		return fmt.Appendf(nil, `{"path":%q,"busy_timeout":%q,"commit_id_lifetime":%q}`, path, busy, lifetime)
	}
	for _, bad := range [][2]string{{"soon", "24h"}, {"5s", "a day"}, {"5s", "23h59m"}} {
		if _, err := open(t.Context(), body(bad[0], bad[1])); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), ": ") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	s, err := open(t.Context(), body("5s", "48h"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if d, err := s.Describe(t.Context()); err != nil || d.CommitIDLifetime != 48*time.Hour || !d.Changes {
		t.Errorf("%+v, %v", d, err)
	}
}
