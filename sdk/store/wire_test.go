package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of the tests are wanted
	goleak.VerifyTestMain(m)
}

// dial serves what register registers and connects to it.
func dial(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(store.MaxMessage), grpc.MaxSendMsgSize(store.MaxMessage))
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

// fake is a store whose calls are given; the others panic.
type fake struct {
	store.Store
	describe func() (store.Description, error)
	get      func([]store.Key) ([]store.Record, error)
	scan     func(context.Context, store.Scan, func(store.Record) error) error
	commit   func([]store.Commit) ([]store.Outcome, error)
	changes  func(context.Context, uint64, func(store.ChangeSet) error) error
}

func (f fake) Describe(context.Context) (store.Description, error) { return f.describe() }
func (f fake) Get(_ context.Context, keys []store.Key) ([]store.Record, error) {
	return f.get(keys)
}
func (f fake) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	return f.scan(ctx, scan, yield)
}
func (f fake) Commit(_ context.Context, commits []store.Commit) ([]store.Outcome, error) {
	return f.commit(commits)
}
func (f fake) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	return f.changes(ctx, after, yield)
}

func serve(t *testing.T, f fake) store.Store {
	return store.NewClient(dial(t, func(s *grpc.Server) { store.RegisterServer(s, f) }))
}

func key(path ...string) store.Key {
	k := store.Key{Collection: "runs", Tenant: 1, Namespace: 2}
	for _, segment := range path {
		k.Path = append(k.Path, []byte(segment))
	}
	return k
}

func record(k store.Key, body string) store.Record {
	return store.Record{Key: k, Version: 3, Revision: 4, Body: []byte(body), SHA256: sha256.Sum256([]byte(body))}
}

func TestDescribe(t *testing.T) {
	want := store.Description{Changes: true, MaxBodyBytes: 1 << 40, MaxOps: 1, MaxCommits: 2, MaxKeys: 3, CommitIDLifetime: time.Hour, Revision: 9}
	got, err := serve(t, fake{describe: func() (store.Description, error) { return want, nil }}).Describe(t.Context())
	if err != nil || got != want {
		t.Errorf("Describe = %+v, %v; want %+v", got, err, want)
	}
}

func TestGet(t *testing.T) {
	want := []store.Record{record(key("a"), "body"), {Key: key("b")}, record(key("", "\x00"), "")}
	client := serve(t, fake{get: func(keys []store.Key) ([]store.Record, error) {
		for i := range keys {
			if keys[i].Compare(want[i].Key) != 0 {
				return nil, fmt.Errorf("key %d is %v", i, keys[i])
			}
		}
		return want, nil
	}})
	got, err := client.Get(t.Context(), []store.Key{want[0].Key, want[1].Key, want[2].Key})
	if err != nil || len(got) != 3 || string(got[0].Body) != "body" || got[0].SHA256 != want[0].SHA256 || got[1].Version != 0 || got[1].Key.Compare(key("b")) != 0 || got[2].Version != 3 {
		t.Errorf("Get = %+v, %v", got, err)
	}
}

// What is beyond the limits of the protocol never reaches the store.
func TestServerRefuses(t *testing.T) {
	client := serve(t, fake{})
	rpc := pb.NewStoreClient(dial(t, func(s *grpc.Server) { store.RegisterServer(s, fake{}) }))
	bad := store.Key{Collection: "Runs", Path: [][]byte{{}}}
	big := make([]byte, store.MaxBody+1)
	for name, test := range map[string]struct {
		call   func() error
		reason fault.Reason
	}{
		"keys of Get": {func() error {
			_, err := client.Get(t.Context(), slices.Repeat([]store.Key{key("a")}, store.MaxKeys+1))
			return err
		}, fault.Invalid},
		"key of Get":    {func() error { _, err := client.Get(t.Context(), []store.Key{bad}); return err }, fault.Invalid},
		"scope of Scan": {func() error { return client.Scan(t.Context(), store.Scan{}, nil) }, fault.Invalid},
		"prefix of Scan": {func() error {
			return client.Scan(t.Context(), store.Scan{Collection: "runs", Prefix: make([][]byte, store.MaxSegments+1)}, nil)
		}, fault.Invalid},
		"start of Scan": {func() error {
			return client.Scan(t.Context(), store.Scan{Collection: "runs", StartAfter: [][]byte{make([]byte, store.MaxSegment+1)}}, nil)
		}, fault.Invalid},
		"commits": {func() error {
			_, err := client.Commit(t.Context(), make([]store.Commit, store.MaxCommits+1))
			return err
		}, fault.Invalid},
		"body": {func() error {
			_, err := client.Commit(t.Context(), []store.Commit{{Ops: []store.Op{{Kind: store.OpPut, Key: key("a"), Body: big}}}})
			return err
		}, fault.TooLarge},
		"message": {func() error {
			op := store.Op{Kind: store.OpPut, Key: key("a"), Body: big}
			_, err := client.Commit(t.Context(), []store.Commit{{Ops: []store.Op{op, op}}})
			return err
		}, fault.TooLarge},
		"commit id": {func() error {
			_, err := rpc.Commit(t.Context(), &pb.CommitRequest{Commits: []*pb.Commit{{Id: []byte("short")}}})
			return fault.FromStatus(err)
		}, fault.Invalid},
	} {
		if err := test.call(); !fault.Is(err, test.reason) {
			t.Errorf("%s: %v, want %s", name, err, test.reason)
		}
	}
}

func TestPanicsBecomeInternal(t *testing.T) {
	client := serve(t, fake{}) // every call is nil and panics
	for name, call := range map[string]func() error{
		"Describe": func() error { _, err := client.Describe(t.Context()); return err },
		"Get":      func() error { _, err := client.Get(t.Context(), []store.Key{key("a")}); return err },
		"Scan":     func() error { return client.Scan(t.Context(), store.Scan{Collection: "runs"}, nil) },
		"Commit": func() error {
			_, err := client.Commit(t.Context(), []store.Commit{{Ops: []store.Op{{Kind: store.OpDelete, Key: key("a")}}}})
			return err
		},
		"Changes": func() error { return client.Changes(t.Context(), 0, nil) },
	} {
		if err := call(); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}

// A wrong commit is refused by itself: its neighbours reach the store and are answered at their places.
func TestCommitsAreIndependent(t *testing.T) {
	put := func(name string, expect store.Expect) store.Op {
		return store.Op{Kind: store.OpPut, Key: key(name), Body: []byte(name), Expect: expect}
	}
	sound := []store.Commit{
		{ID: [16]byte{1}, Ops: []store.Op{put("a", store.Any()), put("b", store.Absent()), put("c", store.Version(7))}},
		{ID: [16]byte{2}, Ops: []store.Op{{Kind: store.OpDelete, Key: key("d"), Expect: store.Version(8)}, {Kind: store.OpAdd, Key: key("e"), Delta: -5, Max: store.MaxCounter}}},
	}
	invalid := []store.Commit{
		{},
		{Ops: slices.Repeat([]store.Op{put("a", store.Any())}, store.MaxOps+1)},
		{Ops: []store.Op{put("x", store.Any()), put("a", store.Any()), put("x", store.Any())}},
		{Ops: []store.Op{put("x", store.Any()), {Kind: store.OpAdd, Key: key("a"), Max: store.MaxCounter + 1}}},
		{Ops: []store.Op{{Key: key("a")}}},
		{Ops: []store.Op{{Kind: store.OpDelete, Key: store.Key{Collection: "runs"}}}},
	}
	wantOps := []int{0, store.MaxOps, 2, 1, 0, 0}
	outcomes := []store.Outcome{
		{Revision: 5, Versions: []uint64{1, 2, 3}},
		{Refusal: &store.Refusal{Reason: store.Limit, Op: 1, Version: 6, Message: "full"}},
	}
	client := serve(t, fake{commit: func(commits []store.Commit) ([]store.Outcome, error) {
		if !reflect.DeepEqual(commits, sound) {
			return nil, fault.New(fault.Internal, "got %+v", commits)
		}
		return outcomes, nil
	}})
	request := append(append([]store.Commit{sound[0]}, invalid...), sound[1])
	got, err := client.Commit(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got[0], outcomes[0]) || !reflect.DeepEqual(got[len(got)-1], outcomes[1]) {
		t.Errorf("sound commits: %+v, %+v", got[0], got[len(got)-1])
	}
	for i, outcome := range got[1 : len(got)-1] {
		if r := outcome.Refusal; r == nil || r.Reason != store.Invalid || r.Op != wantOps[i] || r.Message == "" {
			t.Errorf("invalid commit %d: %+v", i, r)
		}
	}
}

func TestUnclearExpectationIsRefused(t *testing.T) {
	rpc := pb.NewStoreClient(dial(t, func(s *grpc.Server) { store.RegisterServer(s, fake{}) }))
	for name, expect := range map[string]*pb.Expect{
		"absent: false": {Expect: &pb.Expect_Absent{}},
		"any: false":    {Expect: &pb.Expect_Any{}},
	} {
		op := &pb.Op{Op: &pb.Op_Put{Put: &pb.Put{Key: &pb.Key{Collection: "runs", Path: [][]byte{{}}}, Expect: expect}}}
		resp, err := rpc.Commit(t.Context(), &pb.CommitRequest{Commits: []*pb.Commit{{Id: make([]byte, 16), Ops: []*pb.Op{op}}}})
		if err != nil || resp.GetOutcomes()[0].GetRefusal().GetReason() != pb.RefusalReason_REFUSAL_REASON_INVALID {
			t.Errorf("%s: %v, %v; want a refusal", name, resp, err)
		}
	}
}

func TestScanPages(t *testing.T) {
	const count = 3000
	body := string(make([]byte, 1000))
	scan := store.Scan{Collection: "runs", Tenant: 1, Namespace: 2, Prefix: [][]byte{[]byte("p")}, StartAfter: [][]byte{[]byte("p")}, Limit: count}
	f := fake{scan: func(_ context.Context, got store.Scan, yield func(store.Record) error) error {
		if !reflect.DeepEqual(got, scan) {
			return fault.New(fault.Internal, "got %+v", got)
		}
		for i := range count {
			if err := yield(record(key("p", fmt.Sprintf("%06d", i)), body)); err != nil {
				return err
			}
		}
		return nil
	}}
	conn := dial(t, func(s *grpc.Server) { store.RegisterServer(s, f) })
	seen := 0
	if err := store.NewClient(conn).Scan(t.Context(), scan, func(store.Record) error { seen++; return nil }); err != nil || seen != count {
		t.Errorf("Scan: %d records, %v", seen, err)
	}
	stop := errors.New("enough")
	if err := store.NewClient(conn).Scan(t.Context(), scan, func(store.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Scan = %v, want the error of yield", err)
	}
	stream, err := pb.NewStoreClient(conn).Scan(t.Context(), &pb.ScanRequest{
		Collection: "runs", Tenant: 1, Namespace: 2, Prefix: scan.Prefix, StartAfter: scan.StartAfter, Limit: count,
	})
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for {
		page, err := stream.Recv()
		if err != nil {
			break
		}
		pages++
		if n := len(page.GetRecords()); n < 10 || n > 1100 {
			t.Errorf("a page of %d records", n)
		}
	}
	if pages != 4 {
		t.Errorf("%d pages, want 4 of about 1 MiB", pages)
	}
}

func TestChanges(t *testing.T) {
	many := make([]store.Change, 5000)
	for i := range many {
		many[i] = store.Change{Revision: uint64(11 + i), Key: key(fmt.Sprint(i)), Deleted: i%2 == 0}
	}
	client := serve(t, fake{changes: func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
		if after != 10 {
			return fault.New(fault.Internal, "after %d", after)
		}
		return errors.Join(yield(store.ChangeSet{Changes: many, Complete: 6000}), yield(store.ChangeSet{Complete: 6001}))
	}})
	var got []store.Change
	var complete []uint64
	err := client.Changes(t.Context(), 10, func(set store.ChangeSet) error {
		got, complete = append(got, set.Changes...), append(complete, set.Complete)
		return nil
	})
	// A set that was split must not be called complete before its last part: a reader that is cut off would miss the rest.
	if !fault.Is(err, fault.Unavailable) || !reflect.DeepEqual(got, many) || !slices.Equal(complete, []uint64{10, 6000, 6001}) {
		t.Errorf("Changes: %d changes, complete %v, %v", len(got), complete, err)
	}
}
