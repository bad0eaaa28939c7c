package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// NewClient is a store at the other end of a connection. It believes nothing that it can check: counts, keys, order and
// the SHA-256 of every body, so that a broken or hostile plugin yields an error and never a wrong record.
// Close of the client does nothing: the connection belongs to whoever made it.
func NewClient(conn grpc.ClientConnInterface) Store {
	return &client{rpc: pb.NewStoreClient(conn)}
}

type client struct {
	rpc pb.StoreClient
}

// callSize sets the message limits on this side; gRPC's default of 4 MiB would bite only in production.
var callSize = []grpc.CallOption{grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)}

func (c *client) Close() error { return nil }

func (c *client) Describe(ctx context.Context) (Description, error) {
	resp, err := c.rpc.Describe(ctx, &pb.DescribeRequest{}, callSize...)
	if err != nil {
		return Description{}, fault.FromStatus(err)
	}
	// A lifetime that a Duration cannot hold means "for ever".
	const longest = uint64(math.MaxInt64 / time.Second)
	return Description{
		Changes:          resp.GetChanges(),
		MaxBodyBytes:     resp.GetMaxBodyBytes(),
		MaxOps:           resp.GetMaxOpsPerCommit(),
		MaxCommits:       resp.GetMaxCommitsPerRequest(),
		MaxKeys:          resp.GetMaxKeysPerGet(),
		CommitIDLifetime: time.Duration(min(resp.GetCommitIdSeconds(), longest)) * time.Second,
		Revision:         resp.GetRevision(),
	}, nil
}

func (c *client) Get(ctx context.Context, keys []Key) ([]Record, error) {
	req := &pb.GetRequest{Keys: make([]*pb.Key, len(keys))}
	for i, key := range keys {
		req.Keys[i] = keyToWire(key)
	}
	resp, err := c.rpc.Get(ctx, req, callSize...)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if len(resp.GetRecords()) != len(keys) {
		return nil, broken("Get answered %d records for %d keys", len(resp.GetRecords()), len(keys))
	}
	records := make([]Record, len(keys))
	for i, wire := range resp.GetRecords() {
		if wire.GetVersion() == 0 {
			records[i] = Record{Key: keys[i]}
			continue
		}
		if records[i], err = recordFromWire(wire); err != nil {
			return nil, err
		}
		// A record of another key would hand one tenant's data to another.
		if records[i].Key.Compare(keys[i]) != 0 {
			return nil, broken("Get answered another key than record %d was asked for", i)
		}
	}
	return records, nil
}

// broken is the error of an answer that the protocol does not allow.
func broken(format string, args ...any) error {
	return fault.New(fault.Internal, "the store plugin broke the protocol: "+format, args...)
}

// recordFromWire checks the body against its sum: what a disk or a plugin changed must not decide anything.
func recordFromWire(wire *pb.Record) (Record, error) {
	record := Record{Key: keyFromWire(wire.GetKey()), Version: wire.GetVersion(), Revision: wire.GetRevision(), Body: wire.GetBody()}
	if err := record.Key.Validate(); err != nil {
		return Record{}, broken("a record without a valid key: %s", err)
	}
	record.SHA256 = sha256.Sum256(record.Body)
	if string(wire.GetSha256()) != string(record.SHA256[:]) {
		return Record{}, fault.New(fault.Corrupt, "a record of collection %q, version %d: its body does not have the SHA-256 that was stored with it", record.Key.Collection, record.Version)
	}
	return record, nil
}

func (c *client) Scan(ctx context.Context, scan Scan, yield func(Record) error) error {
	// Leaving early must end the stream, or the plugin keeps its cursor open.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Scan(ctx, &pb.ScanRequest{
		Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace,
		Prefix: scan.Prefix, StartAfter: scan.StartAfter, Limit: scan.Limit, Reverse: scan.Reverse, OnBehalfOf: scan.Behalf,
	}, callSize...)
	if err != nil {
		return fault.FromStatus(err)
	}
	walk := scanWalk{scan: scan, last: scan.StartAfter}
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		for _, wire := range page.GetRecords() {
			record, err := recordFromWire(wire)
			if err != nil {
				return err
			}
			if err := walk.accept(record); err != nil {
				return err
			}
			if err := yield(record); err != nil {
				return err
			}
		}
	}
}

// scanWalk checks that a scan stays in its range, moves on and ends: otherwise a plugin could show another tenant's
// records, or the same one for ever.
type scanWalk struct {
	scan  Scan
	last  [][]byte
	count uint64
}

func (w *scanWalk) accept(record Record) error {
	key := record.Key
	if key.Collection != w.scan.Collection || key.Tenant != w.scan.Tenant || key.Namespace != w.scan.Namespace || !HasPrefix(key.Path, w.scan.Prefix) {
		return broken("Scan answered a record outside of its range")
	}
	if record.Version == 0 {
		return broken("Scan answered an absent record")
	}
	if w.count++; w.scan.Limit > 0 && w.count > w.scan.Limit {
		return broken("Scan answered more than the %d records asked for", w.scan.Limit)
	}
	if len(w.last) > 0 {
		before := Key{Path: w.last}.Compare(Key{Path: key.Path})
		if w.scan.Reverse {
			before = -before
		}
		if before >= 0 {
			return broken("Scan answered records out of order")
		}
	}
	w.last = key.Path
	return nil
}

func (c *client) Commit(ctx context.Context, commits []Commit) ([]Outcome, error) {
	req := &pb.CommitRequest{Commits: make([]*pb.Commit, len(commits))}
	for i, commit := range commits {
		req.Commits[i] = commitToWire(commit)
	}
	resp, err := c.rpc.Commit(ctx, req, callSize...)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if len(resp.GetOutcomes()) != len(commits) {
		return nil, broken("Commit answered %d outcomes for %d commits", len(resp.GetOutcomes()), len(commits))
	}
	outcomes := make([]Outcome, len(commits))
	for i, wire := range resp.GetOutcomes() {
		if outcomes[i], err = outcomeFromWire(wire, commits[i]); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// outcomeFromWire lets the caller index the commit's ops by what the answer says.
func outcomeFromWire(wire *pb.Outcome, commit Commit) (Outcome, error) {
	switch o := wire.GetOutcome().(type) {
	case *pb.Outcome_Committed:
		versions := o.Committed.GetVersions()
		if len(versions) != len(commit.Ops) {
			return Outcome{}, broken("Commit answered %d versions for %d ops", len(versions), len(commit.Ops))
		}
		return Outcome{Revision: o.Committed.GetRevision(), Versions: versions}, nil
	case *pb.Outcome_Refusal:
		reason, known := reasonFromWire[o.Refusal.GetReason()]
		// Invalid may be about the whole commit, or about an op too many.
		if op := uint64(o.Refusal.GetOp()); !known || op >= uint64(len(commit.Ops)) && op != 0 {
			return Outcome{}, broken("Commit answered a refusal with reason %d of op %d of %d", o.Refusal.GetReason(), op, len(commit.Ops))
		}
		return Outcome{Refusal: &Refusal{
			Reason: reason, Op: int(o.Refusal.GetOp()), Version: o.Refusal.GetVersion(), Message: o.Refusal.GetMessage(),
		}}, nil
	default:
		return Outcome{}, broken("Commit answered neither committed nor refused")
	}
}

func (c *client) Changes(ctx context.Context, after uint64, yield func(ChangeSet) error) error {
	return c.ChangesOf(ctx, nil, after, yield)
}

// ChangesOf implements Selective.
func (c *client) ChangesOf(ctx context.Context, collections []string, after uint64, yield func(ChangeSet) error) error {
	// The plugin may not know what it is asked for.
	yield = only(collections, yield)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Changes(ctx, &pb.ChangesRequest{AfterRevision: after, Collections: collections}, callSize...)
	if err != nil {
		return fault.FromStatus(err)
	}
	complete := after
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			// The feed follows for ever; a reader must not take its end for "nothing more will change".
			return fault.New(fault.Unavailable, "the store plugin ended the feed of changes")
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		if page.GetCompleteRevision() < complete {
			return broken("Changes went back from revision %d to %d", complete, page.GetCompleteRevision())
		}
		complete = page.GetCompleteRevision()
		set, err := changesFromWire(page)
		if err != nil {
			return err
		}
		if err := yield(set); err != nil {
			return err
		}
	}
}

func changesFromWire(page *pb.ChangesResponse) (ChangeSet, error) {
	set := ChangeSet{Complete: page.GetCompleteRevision(), Changes: make([]Change, len(page.GetChanges()))}
	for i, wire := range page.GetChanges() {
		change := Change{Revision: wire.GetRevision(), Key: keyFromWire(wire.GetKey()), Deleted: wire.GetDeleted()}
		if err := change.Key.Validate(); err != nil {
			return ChangeSet{}, broken("a change without a valid key: %s", err)
		}
		set.Changes[i] = change
	}
	return set, nil
}
