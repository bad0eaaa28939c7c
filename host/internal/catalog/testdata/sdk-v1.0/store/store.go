// Package store is what a storage plugin implements: five calls on which everything in Decision Gate Host is built.
//
// A store keeps records under ordered keys. Commits are atomic, versioned and idempotent; that is all the host needs to
// keep a decision, its usage row, its quota and its idempotency mark together, on one host or on many.
//
// The words MUST and MUST NOT below are asserted by the conformance kit in package storetest.
package store

import (
	"context"
	"math"
	"time"
)

// Limits of the protocol. A store may announce wider ones in its Description, never narrower.
const (
	// MaxSegment is the length in bytes of the longest path segment: the widest key column that every SQL database
	// indexes. Callers key longer ids by their hash, see Segment.
	MaxSegment = 255
	// MaxSegments is the number of segments of the longest path.
	MaxSegments = 8
	// MaxBody is the size in bytes of the largest record body: half of a message, so that one always fits.
	MaxBody = 32 << 20
	// MaxMessage is the size in bytes of the largest message, set on both sides of every connection.
	MaxMessage = 64 << 20
	// MaxOps is the number of ops of the largest commit.
	MaxOps = 256
	// MaxCommits is the number of commits of the largest request.
	MaxCommits = 256
	// MaxKeys is the number of keys of the largest Get.
	MaxKeys = 1024
	// ScanPage is the size in bytes at which a page of Scan is sent.
	ScanPage = 1 << 20
	// CommitIDLifetime is how long at least the id of a successful commit is remembered.
	CommitIDLifetime = 24 * time.Hour
	// MaxCounter is the largest value of a counter: a signed 64-bit integer of any SQL database holds it.
	MaxCounter = math.MaxInt64
)

// SharedCollection is the one in which tenant 0 has records that every tenant may read: scenarios without a tenant.
const SharedCollection = "scenarios"

// Store is a storage backend. All calls are safe for concurrent use and honour the context.
// Errors are *fault.Error (package sdk/fault); a refused commit is an Outcome, not an error.
type Store interface {
	// Describe answers capabilities and limits.
	Describe(ctx context.Context) (Description, error)

	// Get answers one record for each key, in order, all read at one point in time. An absent record has Version 0.
	// Every commit that was answered before Get was called MUST be visible. A body whose SHA-256 does not match is CORRUPT.
	Get(ctx context.Context, keys []Key) ([]Record, error)

	// Scan calls yield with each record of the range in key order, until yield returns an error, which Scan returns.
	// A record committed before Scan was called and not changed during it MUST be seen exactly once. Memory MUST be
	// bounded by a page, not by the range. A record that was handed out belongs to the caller: its bytes MUST NOT change.
	Scan(ctx context.Context, scan Scan, yield func(Record) error) error

	// Commit applies independent commits and answers one Outcome for each, in order. Each commit is all or nothing.
	// Later commits of the same request see what earlier ones did. When Commit returns without an error, every Committed
	// outcome MUST be durable: it follows an fdatasync (or the backend's equal) that began after its last write.
	// A commit whose id and ops equal those of one that succeeded within CommitIDLifetime MUST be answered with the first
	// Outcome and do nothing, on whichever host or process it arrives. A refused commit leaves no id behind.
	Commit(ctx context.Context, commits []Commit) ([]Outcome, error)

	// Changes calls yield with everything that changed after a revision, in revision order, and then follows until the
	// context ends or yield returns an error, which Changes returns. A reader that has seen Complete >= N has missed
	// nothing at or below N, whatever order transactions finish in. Of a record changed several times only the last
	// change needs to be told. Where the records of a commit have a revision each, Complete may lie amid a commit, but only
	// after more than MaxOps changes in one set. A store without the capability answers UNIMPLEMENTED.
	Changes(ctx context.Context, after uint64, yield func(ChangeSet) error) error

	// Close ends the store. Calls in flight may fail with UNAVAILABLE.
	Close() error
}

// Description is what a store can do.
type Description struct {
	// Changes says that the store serves Changes; one that does not serves one host only.
	Changes bool
	// MaxBodyBytes, MaxOps, MaxCommits and MaxKeys are limits, at least those of this package.
	MaxBodyBytes uint64
	MaxOps       uint32
	MaxCommits   uint32
	MaxKeys      uint32
	// CommitIDLifetime is how long the id of a successful commit is remembered.
	CommitIDLifetime time.Duration
	// Revision is the newest revision.
	Revision uint64
}

// Key names a record. Keys are ordered by collection, tenant, namespace and then path, segment by segment, bytewise; a
// path comes before the paths that it begins.
type Key struct {
	// Collection is a lower-case name of the product such as "runs"; a store MUST accept any of 1 to 63 characters a-z, 0-9 and _.
	Collection string
	// Tenant and Namespace are the scope; 0 is the system scope. All of uint64 is used.
	Tenant, Namespace uint64
	// Path is 1 to MaxSegments segments of 0 to MaxSegment bytes, any bytes.
	Path [][]byte
	// Behalf, in a request, is the tenant in whose name the record is touched; 0 is the host's own. It is no part of the key.
	// The host has compared it with Tenant before; a store that can SHOULD do so again, where a mistake of the host cannot
	// reach: to a tenant, the records of others do not exist and cannot be written, but for SharedCollection of tenant 0,
	// which it may read.
	Behalf uint64
}

// Record is what is stored under a key.
type Record struct {
	Key Key
	// Version is 0 for an absent record, else greater than any version that this key had before.
	Version uint64
	// Revision is the store-wide number of the commit that wrote this version: later commits have greater ones.
	Revision uint64
	// Body is kept byte for byte.
	Body []byte
	// SHA256 is of Body, computed when it was written and checked when it is read.
	SHA256 [32]byte
}

// Scan is a range of one scope of a collection.
type Scan struct {
	Collection        string
	Tenant, Namespace uint64
	// Prefix keeps only records whose path begins with these segments.
	Prefix [][]byte
	// StartAfter keeps only records after this path, before it when Reverse is set.
	StartAfter [][]byte
	// Limit is the number of records at most; 0 means no limit.
	Limit uint64
	// Reverse walks from the last record to the first.
	Reverse bool
	// Behalf is as in Key.
	Behalf uint64
}

// Commit is a set of ops that happen together or not at all.
type Commit struct {
	// ID is chosen by the caller, unique and best ordered by time (UUID version 7): a random one costs an index more.
	ID [16]byte
	// Ops are 1 to MaxOps; no two of them have the same key.
	Ops []Op
}

// OpKind is what an op does.
type OpKind uint8

// The kinds of ops.
const (
	// OpPut writes Body.
	OpPut OpKind = iota + 1
	// OpDelete removes the record; an absent one is removed without effect where Expect allows it.
	OpDelete
	// OpAdd adds Delta to a counter. An absent counter is 0 and is created. Expect is not used.
	OpAdd
)

// Op is one change.
type Op struct {
	Kind OpKind
	Key  Key
	// Body is for OpPut; nil is an empty body.
	Body []byte
	// Expect is for OpPut and OpDelete.
	Expect Expect
	// Delta and Max are for OpAdd: the counter refuses to pass Max, at most MaxCounter, and to fall below 0. One that is
	// over a Max that was lowered since may stay or fall, and refuses to rise.
	Delta int64
	Max   uint64
}

// Expect is what must be true of a record before it is written. The zero value is Any.
type Expect struct {
	kind    expectKind
	version uint64
}

type expectKind uint8

const (
	expectAny expectKind = iota
	expectAbsent
	expectVersion
)

// Any expects nothing.
func Any() Expect { return Expect{} }

// Absent expects that there is no such record.
func Absent() Expect { return Expect{kind: expectAbsent} }

// Version expects that the record has this version; 0 is the same as Absent.
func Version(v uint64) Expect {
	if v == 0 {
		return Absent()
	}
	return Expect{kind: expectVersion, version: v}
}

// Met says whether a record with the given current version (0: absent) meets the expectation.
func (e Expect) Met(current uint64) bool {
	switch e.kind {
	case expectAbsent:
		return current == 0
	case expectVersion:
		return current == e.version
	default:
		return true
	}
}

// Wants answers what the expectation asks for, to be compared in a server: the record has this version, 0 when it must be
// absent; any says that it may have every version or none.
func (e Expect) Wants() (version uint64, any bool) { return e.version, e.kind == expectAny }

// Outcome is the answer to one commit: committed when Refusal is nil.
type Outcome struct {
	// Revision is the greatest revision that the commit gave to a record.
	Revision uint64
	// Versions are the new versions, in op order; 0 for a deleted record.
	Versions []uint64
	// Refusal says why nothing was done.
	Refusal *Refusal
}

// RefusalReason is why a commit was refused.
type RefusalReason uint8

// The reasons of a refusal.
const (
	// Conflict: an expectation was not met.
	Conflict RefusalReason = iota + 1
	// Limit: a counter would pass its maximum or fall below 0.
	Limit
	// Invalid: the commit itself is wrong: its id was used with other ops, a key twice, a limit passed, or OpAdd to a
	// record that is no counter (its body is not 8 bytes).
	Invalid
)

// Refusal is an answer, not an error: the store did its work and said no.
type Refusal struct {
	Reason RefusalReason
	// Op is the first op that was refused.
	Op int
	// Version is the current version of that op's record, 0 when absent.
	Version uint64
	// Message says for Invalid what is wrong.
	Message string
}

// ChangeSet is a part of the change feed.
type ChangeSet struct {
	Changes []Change
	// Complete says that everything at or below this revision has been told.
	Complete uint64
}

// Change says that a record was written or removed.
type Change struct {
	Revision uint64
	Key      Key
	Deleted  bool
}
