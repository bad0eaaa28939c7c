package store_test

import (
	"context"
	"crypto/sha256"
	"testing"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// hostile is a plugin that answers what it likes.
type hostile struct {
	pb.UnimplementedStoreServer
	get     *pb.GetResponse
	scan    []*pb.ScanResponse
	commit  *pb.CommitResponse
	changes []*pb.ChangesResponse
}

func (h hostile) Get(context.Context, *pb.GetRequest) (*pb.GetResponse, error) { return h.get, nil }
func (h hostile) Commit(context.Context, *pb.CommitRequest) (*pb.CommitResponse, error) {
	return h.commit, nil
}

func (h hostile) Scan(_ *pb.ScanRequest, stream grpc.ServerStreamingServer[pb.ScanResponse]) error {
	return sendAll(stream, h.scan)
}

func (h hostile) Changes(_ *pb.ChangesRequest, stream grpc.ServerStreamingServer[pb.ChangesResponse]) error {
	return sendAll(stream, h.changes)
}

func sendAll[T any](stream grpc.ServerStreamingServer[T], messages []*T) error {
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return nil
}

func attack(t *testing.T, h hostile) store.Store {
	return store.NewClient(dial(t, func(s *grpc.Server) { pb.RegisterStoreServer(s, h) }))
}

func wireRecord(tenant uint64, path, body string) *pb.Record {
	sum := sha256.Sum256([]byte(body))
	return &pb.Record{
		Key:     &pb.Key{Collection: "runs", Tenant: tenant, Namespace: 2, Path: [][]byte{[]byte(path)}},
		Version: 1, Revision: 1, Body: []byte(body), Sha256: sum[:],
	}
}

func TestClientDoesNotTrustGet(t *testing.T) {
	sound := func() *pb.Record { return wireRecord(1, "a", "body") }
	change := func(edit func(*pb.Record)) []*pb.Record {
		r := sound()
		edit(r)
		return []*pb.Record{r}
	}
	for name, test := range map[string]struct {
		records []*pb.Record
		reason  fault.Reason
	}{
		"sound":           {[]*pb.Record{sound()}, ""},
		"too few":         {nil, fault.Internal},
		"too many":        {[]*pb.Record{sound(), sound()}, fault.Internal},
		"other tenant":    {[]*pb.Record{wireRecord(2, "a", "body")}, fault.Internal},
		"other path":      {[]*pb.Record{wireRecord(1, "b", "body")}, fault.Internal},
		"no key":          {change(func(r *pb.Record) { r.Key = nil }), fault.Internal},
		"changed body":    {change(func(r *pb.Record) { r.Body[0] ^= 1 }), fault.Corrupt},
		"changed sum":     {change(func(r *pb.Record) { r.Sha256[31] ^= 1 }), fault.Corrupt},
		"short sum":       {change(func(r *pb.Record) { r.Sha256 = r.Sha256[:31] }), fault.Corrupt},
		"no sum, no body": {change(func(r *pb.Record) { r.Sha256, r.Body = nil, nil }), fault.Corrupt},
	} {
		_, err := attack(t, hostile{get: &pb.GetResponse{Records: test.records}}).Get(t.Context(), []store.Key{key("a")})
		if fault.ReasonOf(err) != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}

func TestClientDoesNotTrustScan(t *testing.T) {
	page := func(paths ...string) *pb.ScanResponse {
		resp := &pb.ScanResponse{}
		for _, path := range paths {
			resp.Records = append(resp.Records, wireRecord(1, path, "body"))
		}
		return resp
	}
	absent, changed, foreign := page("b"), page("b"), page("b")
	absent.Records[0].Version = 0
	changed.Records[0].Body = nil
	foreign.Records[0].Key.Tenant = 9
	all := store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}
	limited, after, reverse, prefix := all, all, all, all
	limited.Limit = 2
	after.StartAfter = [][]byte{[]byte("b")}
	reverse.Reverse = true
	prefix.Prefix = [][]byte{[]byte("a")}
	for name, test := range map[string]struct {
		scan   store.Scan
		pages  []*pb.ScanResponse
		reason fault.Reason
	}{
		"sound":          {all, []*pb.ScanResponse{page("a", "b"), page(), page("c")}, ""},
		"sound reverse":  {reverse, []*pb.ScanResponse{page("b"), page("a")}, ""},
		"other tenant":   {all, []*pb.ScanResponse{foreign}, fault.Internal},
		"other prefix":   {prefix, []*pb.ScanResponse{page("b")}, fault.Internal},
		"twice the same": {all, []*pb.ScanResponse{page("a"), page("a")}, fault.Internal},
		"wrong order":    {all, []*pb.ScanResponse{page("b", "a")}, fault.Internal},
		"wrong reverse":  {reverse, []*pb.ScanResponse{page("a", "b")}, fault.Internal},
		"before start":   {after, []*pb.ScanResponse{page("b")}, fault.Internal},
		"over the limit": {limited, []*pb.ScanResponse{page("a", "b", "c")}, fault.Internal},
		"absent record":  {all, []*pb.ScanResponse{absent}, fault.Internal},
		"changed body":   {all, []*pb.ScanResponse{changed}, fault.Corrupt},
	} {
		err := attack(t, hostile{scan: test.pages}).Scan(t.Context(), test.scan, func(store.Record) error { return nil })
		if fault.ReasonOf(err) != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}

func TestClientDoesNotTrustCommit(t *testing.T) {
	committed := func(versions ...uint64) *pb.Outcome {
		return &pb.Outcome{Outcome: &pb.Outcome_Committed{Committed: &pb.Committed{Revision: 1, Versions: versions}}}
	}
	refused := func(reason pb.RefusalReason, op uint32) *pb.Outcome {
		return &pb.Outcome{Outcome: &pb.Outcome_Refusal{Refusal: &pb.Refusal{Reason: reason, Op: op}}}
	}
	conflict := pb.RefusalReason_REFUSAL_REASON_CONFLICT
	for name, test := range map[string]struct {
		outcomes []*pb.Outcome
		reason   fault.Reason
	}{
		"sound":          {[]*pb.Outcome{committed(1, 2)}, ""},
		"sound refusal":  {[]*pb.Outcome{refused(conflict, 1)}, ""},
		"too few":        {nil, fault.Internal},
		"too many":       {[]*pb.Outcome{committed(1, 2), committed(1, 2)}, fault.Internal},
		"few versions":   {[]*pb.Outcome{committed(1)}, fault.Internal},
		"many versions":  {[]*pb.Outcome{committed(1, 2, 3)}, fault.Internal},
		"no such op":     {[]*pb.Outcome{refused(conflict, 2)}, fault.Internal},
		"no such reason": {[]*pb.Outcome{refused(99, 0)}, fault.Internal},
		"no reason":      {[]*pb.Outcome{refused(0, 0)}, fault.Internal},
		"neither":        {[]*pb.Outcome{{}}, fault.Internal},
	} {
		_, err := attack(t, hostile{commit: &pb.CommitResponse{Outcomes: test.outcomes}}).Commit(t.Context(), []store.Commit{
			{Ops: []store.Op{{Kind: store.OpDelete, Key: key("a")}, {Kind: store.OpDelete, Key: key("b")}}},
		})
		if fault.ReasonOf(err) != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}

func TestClientDoesNotTrustChanges(t *testing.T) {
	for name, pages := range map[string][]*pb.ChangesResponse{
		"going back":     {{CompleteRevision: 8}, {CompleteRevision: 7}},
		"before the ask": {{CompleteRevision: 4}},
		"no key":         {{CompleteRevision: 8, Changes: []*pb.Change{{Revision: 8}}}},
	} {
		err := attack(t, hostile{changes: pages}).Changes(t.Context(), 5, func(store.ChangeSet) error { return nil })
		if !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}
