package store

import (
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func keyToWire(k Key) *pb.Key {
	return &pb.Key{Collection: k.Collection, Tenant: k.Tenant, Namespace: k.Namespace, Path: k.Path, OnBehalfOf: k.Behalf}
}

func keyFromWire(k *pb.Key) Key {
	return Key{Collection: k.GetCollection(), Tenant: k.GetTenant(), Namespace: k.GetNamespace(), Path: k.GetPath(), Behalf: k.GetOnBehalfOf()}
}

func recordToWire(r Record) *pb.Record {
	if r.Version == 0 {
		return &pb.Record{}
	}
	return &pb.Record{Key: keyToWire(r.Key), Version: r.Version, Revision: r.Revision, Body: r.Body, Sha256: r.SHA256[:]}
}

func expectToWire(e Expect) *pb.Expect {
	switch e.kind {
	case expectAbsent:
		return &pb.Expect{Expect: &pb.Expect_Absent{Absent: true}}
	case expectVersion:
		return &pb.Expect{Expect: &pb.Expect_Version{Version: e.version}}
	default:
		return nil
	}
}

// expectFromWire refuses "absent: false" and "any: false": a caller that means something by them would be misunderstood.
func expectFromWire(e *pb.Expect) (Expect, bool) {
	switch e := e.GetExpect().(type) {
	case *pb.Expect_Absent:
		return Absent(), e.Absent
	case *pb.Expect_Version:
		return Version(e.Version), true
	case *pb.Expect_Any:
		return Any(), e.Any
	default:
		return Any(), true
	}
}

func opToWire(o Op) *pb.Op {
	key := keyToWire(o.Key)
	switch o.Kind {
	case OpPut:
		return &pb.Op{Op: &pb.Op_Put{Put: &pb.Put{Key: key, Body: o.Body, Expect: expectToWire(o.Expect)}}}
	case OpDelete:
		return &pb.Op{Op: &pb.Op_Delete{Delete: &pb.Delete{Key: key, Expect: expectToWire(o.Expect)}}}
	case OpAdd:
		return &pb.Op{Op: &pb.Op_Add{Add: &pb.Add{Key: key, Delta: o.Delta, Max: o.Max}}}
	default:
		return &pb.Op{}
	}
}

// opFromWire answers an op of kind 0, which Check refuses, for one that a newer or broken caller sent.
func opFromWire(o *pb.Op) Op {
	switch o := o.GetOp().(type) {
	case *pb.Op_Put:
		if expect, ok := expectFromWire(o.Put.GetExpect()); ok {
			return Op{Kind: OpPut, Key: keyFromWire(o.Put.GetKey()), Body: o.Put.GetBody(), Expect: expect}
		}
	case *pb.Op_Delete:
		if expect, ok := expectFromWire(o.Delete.GetExpect()); ok {
			return Op{Kind: OpDelete, Key: keyFromWire(o.Delete.GetKey()), Expect: expect}
		}
	case *pb.Op_Add:
		return Op{Kind: OpAdd, Key: keyFromWire(o.Add.GetKey()), Delta: o.Add.GetDelta(), Max: o.Add.GetMax()}
	}
	return Op{}
}

func commitToWire(c Commit) *pb.Commit {
	wire := &pb.Commit{Id: c.ID[:], Ops: make([]*pb.Op, len(c.Ops))}
	for i, op := range c.Ops {
		wire.Ops[i] = opToWire(op)
	}
	return wire
}

func commitFromWire(c *pb.Commit) (Commit, error) {
	if len(c.GetId()) != 16 {
		return Commit{}, fault.New(fault.Invalid, "a commit id of %d bytes: want 16", len(c.GetId()))
	}
	commit := Commit{ID: [16]byte(c.GetId()), Ops: make([]Op, len(c.GetOps()))}
	for i, op := range c.GetOps() {
		commit.Ops[i] = opFromWire(op)
	}
	return commit, nil
}

// The reasons of a refusal, in both directions.
var (
	reasonToWire = map[RefusalReason]pb.RefusalReason{
		Conflict: pb.RefusalReason_REFUSAL_REASON_CONFLICT,
		Limit:    pb.RefusalReason_REFUSAL_REASON_LIMIT,
		Invalid:  pb.RefusalReason_REFUSAL_REASON_INVALID,
	}
	reasonFromWire = map[pb.RefusalReason]RefusalReason{
		pb.RefusalReason_REFUSAL_REASON_CONFLICT: Conflict,
		pb.RefusalReason_REFUSAL_REASON_LIMIT:    Limit,
		pb.RefusalReason_REFUSAL_REASON_INVALID:  Invalid,
	}
)

func outcomeToWire(o Outcome) *pb.Outcome {
	if r := o.Refusal; r != nil {
		return &pb.Outcome{Outcome: &pb.Outcome_Refusal{Refusal: &pb.Refusal{
			Reason: reasonToWire[r.Reason], Op: uint32(max(r.Op, 0)), Version: r.Version, Message: r.Message,
		}}}
	}
	return &pb.Outcome{Outcome: &pb.Outcome_Committed{Committed: &pb.Committed{Revision: o.Revision, Versions: o.Versions}}}
}
