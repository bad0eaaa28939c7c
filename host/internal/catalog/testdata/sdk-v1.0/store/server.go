package store

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// pageRecords is the number of records or changes of the largest page: tiny records must not make a page that takes more
// memory in headers than in bytes.
const pageRecords = 4096

// RegisterServer serves a store over the protocol. The store sees only requests within the limits of this package; its
// panics become INTERNAL.
func RegisterServer(r grpc.ServiceRegistrar, s Store) {
	pb.RegisterStoreServer(r, &server{store: s})
}

type server struct {
	pb.UnimplementedStoreServer
	store Store
}

func (s *server) Describe(ctx context.Context, _ *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	var d Description
	err := guarded(func() (err error) {
		d, err = s.store.Describe(ctx)
		return err
	})
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	return &pb.DescribeResponse{
		Changes:              d.Changes,
		MaxBodyBytes:         d.MaxBodyBytes,
		MaxOpsPerCommit:      d.MaxOps,
		MaxCommitsPerRequest: d.MaxCommits,
		MaxKeysPerGet:        d.MaxKeys,
		CommitIdSeconds:      uint64(max(d.CommitIDLifetime, 0) / time.Second),
		Revision:             d.Revision,
	}, nil
}

// guarded runs a call of the backend, whose panic must not end the process.
func guarded(call func() error) (err error) {
	defer fault.Recover(&err)
	return call()
}

func (s *server) Get(ctx context.Context, req *pb.GetRequest) (*pb.GetResponse, error) {
	if n := len(req.GetKeys()); n > MaxKeys {
		return nil, fault.ToStatus(fault.New(fault.Invalid, "%d keys in one Get: want at most %d", n, MaxKeys))
	}
	keys := make([]Key, len(req.GetKeys()))
	for i, wire := range req.GetKeys() {
		keys[i] = keyFromWire(wire)
		if err := keys[i].Validate(); err != nil {
			return nil, fault.ToStatus(err)
		}
	}
	var records []Record
	err := guarded(func() (err error) {
		records, err = s.store.Get(ctx, keys)
		return err
	})
	if err == nil && len(records) != len(keys) {
		err = fault.New(fault.Internal, "the store answered %d records for %d keys", len(records), len(keys))
	}
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	resp := &pb.GetResponse{Records: make([]*pb.Record, len(records))}
	for i, record := range records {
		resp.Records[i] = recordToWire(record)
	}
	return resp, nil
}

func (s *server) Scan(req *pb.ScanRequest, stream grpc.ServerStreamingServer[pb.ScanResponse]) error {
	scan := Scan{
		Collection: req.GetCollection(), Tenant: req.GetTenant(), Namespace: req.GetNamespace(),
		Prefix: req.GetPrefix(), StartAfter: req.GetStartAfter(), Limit: req.GetLimit(), Reverse: req.GetReverse(), Behalf: req.GetOnBehalfOf(),
	}
	if err := scan.validate(); err != nil {
		return fault.ToStatus(err)
	}
	page, size := &pb.ScanResponse{}, 0
	flush := func() error {
		if len(page.Records) == 0 {
			return nil
		}
		err := stream.Send(page)
		page, size = &pb.ScanResponse{}, 0
		return err
	}
	err := guarded(func() error {
		return s.store.Scan(stream.Context(), scan, func(record Record) error {
			page.Records = append(page.Records, recordToWire(record))
			size += len(record.Body) + sha256.Size + keySize(record.Key)
			if size >= ScanPage || len(page.Records) >= pageRecords {
				return flush()
			}
			return nil
		})
	})
	if err == nil {
		err = flush()
	}
	return fault.ToStatus(err)
}

func keySize(k Key) int {
	size := len(k.Collection) + 16
	for _, segment := range k.Path {
		size += len(segment)
	}
	return size
}

func (s *server) Commit(ctx context.Context, req *pb.CommitRequest) (*pb.CommitResponse, error) {
	commits, err := commitsFromWire(req.GetCommits())
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	// A wrong commit is refused here and the others still happen: commits of one request are independent.
	outcomes := make([]*pb.Outcome, len(commits))
	var sound []Commit
	var places []int
	for i, commit := range commits {
		if refusal := commit.Check(); refusal != nil {
			outcomes[i] = outcomeToWire(Outcome{Refusal: refusal})
			continue
		}
		sound, places = append(sound, commit), append(places, i)
	}
	if len(sound) > 0 {
		answers, err := s.commit(ctx, sound)
		if err != nil {
			return nil, fault.ToStatus(err)
		}
		for i, answer := range answers {
			outcomes[places[i]] = outcomeToWire(answer)
		}
	}
	return &pb.CommitResponse{Outcomes: outcomes}, nil
}

func commitsFromWire(wire []*pb.Commit) ([]Commit, error) {
	if len(wire) > MaxCommits {
		return nil, fault.New(fault.Invalid, "%d commits in one request: want at most %d", len(wire), MaxCommits)
	}
	commits := make([]Commit, len(wire))
	for i, commit := range wire {
		var err error
		if commits[i], err = commitFromWire(commit); err != nil {
			return nil, err
		}
	}
	return commits, checkBodies(commits)
}

func (s *server) commit(ctx context.Context, commits []Commit) (outcomes []Outcome, err error) {
	defer fault.Recover(&err)
	outcomes, err = s.store.Commit(ctx, commits)
	if err == nil && len(outcomes) != len(commits) {
		err = fault.New(fault.Internal, "the store answered %d outcomes for %d commits", len(outcomes), len(commits))
	}
	return outcomes, err
}

func (s *server) Changes(req *pb.ChangesRequest, stream grpc.ServerStreamingServer[pb.ChangesResponse]) error {
	complete := req.GetAfterRevision()
	err := guarded(func() error {
		return ChangesOf(stream.Context(), s.store, req.GetCollections(), req.GetAfterRevision(), func(set ChangeSet) error {
			err := sendChanges(stream, set, complete)
			complete = set.Complete
			return err
		})
	})
	return fault.ToStatus(err)
}

// sendChanges splits a large set; only its last part tells the new complete revision, so that a reader who is cut off in
// between asks for the set again.
func sendChanges(stream grpc.ServerStreamingServer[pb.ChangesResponse], set ChangeSet, before uint64) error {
	page, size := &pb.ChangesResponse{CompleteRevision: before}, 0
	for _, change := range set.Changes {
		if size >= ScanPage || len(page.Changes) >= pageRecords {
			if err := stream.Send(page); err != nil {
				return err
			}
			page, size = &pb.ChangesResponse{CompleteRevision: before}, 0
		}
		page.Changes = append(page.Changes, &pb.Change{Revision: change.Revision, Key: keyToWire(change.Key), Deleted: change.Deleted})
		size += keySize(change.Key)
	}
	page.CompleteRevision = set.Complete
	return stream.Send(page)
}
