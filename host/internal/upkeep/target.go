package upkeep

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// ownCollection holds what this package keeps in a store: who it is, and how far it was filled. It is never copied.
const ownCollection = "store_upkeep"

var (
	identityKey   = store.Key{Collection: ownCollection, Path: [][]byte{[]byte("identity")}}
	checkpointKey = store.Key{Collection: ownCollection, Path: [][]byte{[]byte("checkpoint")}}
)

// identify is the identity of a store, which it is given when it is asked for the first time: a checkpoint in another store
// names by it what that was copied from.
func identify(ctx context.Context, s store.Store) (string, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	if known, err := knownIdentity(ctx, s); err != nil || known != "" {
		return known, err
	}
	outcome, err := commit(ctx, s, store.Op{Kind: store.OpPut, Key: identityKey, Body: []byte(id), Expect: store.Absent()})
	if err != nil {
		return "", err
	}
	if outcome.Refusal != nil { // somebody else gave it one
		return knownIdentity(ctx, s)
	}
	return id, nil
}

// knownIdentity is the identity of a store that has one already, else empty.
func knownIdentity(ctx context.Context, s store.Store) (string, error) {
	record, err := get(ctx, s, identityKey)
	return string(record.Body), err
}

// commit makes one commit, with one id however often it has to be tried.
func commit(ctx context.Context, s store.Store, ops ...store.Op) (outcome store.Outcome, err error) {
	c := store.Commit{ID: persist.NewCommitID(), Ops: ops}
	err = patient(ctx, func(func()) error {
		outcomes, err := s.Commit(ctx, []store.Commit{c})
		if err == nil {
			outcome = outcomes[0]
		}
		return err
	})
	return outcome, err
}

// checkpointFormat is raised when a checkpoint of before would be misread.
const checkpointFormat = 1

// checkpoint says how far a store was filled, and from what. It is committed with what it speaks of.
type checkpoint struct {
	Format int `json:"format"`
	// Source is what the store is filled from: a store by its identity, or a backup by its sum.
	Source string `json:"source"`
	// Position is a revision of the store, or an offset in the backup.
	Position uint64 `json:"position"`
	// Ahead is the newest revision that was taken: what is there is the source at one moment only when it is not above Position.
	Ahead uint64 `json:"ahead"`
	// Records, Removed and Bytes were written in all.
	Records uint64 `json:"records"`
	Removed uint64 `json:"removed"`
	Bytes   uint64 `json:"bytes"`
}

// target is a store that is being filled.
type target struct {
	store.Store
	checkpoint
	// version is that of the checkpoint's record: nobody else may fill the store meanwhile.
	version uint64
}

// RefusedError is of a target that cannot be filled with what it is asked to.
type RefusedError struct{ why string }

func (e *RefusedError) Error() string { return e.why }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// openTarget finds how far a store was filled from a source, and refuses one that holds anything else: neither what hosts
// have written there may be lost, nor may two sources be mixed.
func openTarget(ctx context.Context, s store.Store, source string) (*target, error) {
	if _, err := describe(ctx, s); err != nil {
		return nil, fmt.Errorf("the target: %w", err)
	}
	if id, err := knownIdentity(ctx, s); err != nil {
		return nil, err
	} else if storeSource(id) == source {
		return nil, refuse("the source and the target are the same store")
	}
	record, err := get(ctx, s, checkpointKey)
	if err != nil {
		return nil, err
	}
	t := &target{Store: s, checkpoint: checkpoint{Format: checkpointFormat, Source: source}}
	if record.Version > 0 {
		if err := t.resume(record); err != nil {
			return nil, err
		}
	}
	return t, t.untouched(ctx, record.Revision)
}

func storeSource(identity string) string { return "store " + identity }

func (t *target) resume(record store.Record) error {
	source := t.Source
	if err := json.Unmarshal(record.Body, &t.checkpoint); err != nil {
		return fmt.Errorf("the checkpoint in the target cannot be read: %w", err)
	}
	switch {
	case t.Format != checkpointFormat:
		return refuse("the target was begun by another version of this program: its checkpoint has format %d and this one knows %d; finish with that version, or begin with an empty store", t.Format, checkpointFormat)
	case t.Source != source:
		return refuse("the target holds what was taken from another source: %s, and this one is %s; name that source, or an empty store", t.Source, source)
	}
	t.version = record.Version
	return nil
}

// untouched refuses a target that was written to by others: since it was last filled, or ever. The checkpoint is the last op
// of its commit, and stores number the ops of a commit in order or alike.
func (t *target) untouched(ctx context.Context, filled uint64) error {
	err := changesNow(ctx, t.Store, filled, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			switch {
			case change.Key.Collection == ownCollection:
			case filled > 0:
				return refuse("the target was written to by others since it was filled last (collection %s, tenant %d, namespace %d): going on would overwrite that; name an empty store", change.Key.Collection, change.Key.Tenant, change.Key.Namespace)
			case !change.Deleted:
				return refuse("the target holds other data (collection %s, tenant %d, namespace %d): name an empty store", change.Key.Collection, change.Key.Tenant, change.Key.Namespace)
			}
		}
		return nil
	})
	var refused *RefusedError
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("the target: %w", err)
	}
	return err
}

// take commits a batch and the checkpoint together.
func (t *target) take(ctx context.Context, b batch) error {
	next := t.checkpoint
	next.Position, next.Ahead, next.Bytes = b.position, b.ahead, next.Bytes+b.bytes
	for _, op := range b.ops {
		if op.Kind == store.OpPut {
			next.Records++
		} else {
			next.Removed++
		}
	}
	body, err := json.Marshal(next)
	if err != nil {
		return err
	}
	ops := append(b.ops, store.Op{Kind: store.OpPut, Key: checkpointKey, Body: body, Expect: store.Version(t.version)})
	outcome, err := commit(ctx, t.Store, ops...)
	switch {
	case err != nil:
		return fmt.Errorf("the target: %w", err)
	case outcome.Refusal == nil:
		t.checkpoint, t.version = next, outcome.Versions[len(ops)-1]
		return nil
	case outcome.Refusal.Reason == store.Conflict:
		return refuse("another process is filling the target")
	default:
		return fault.New(fault.Internal, "the target refused a commit: %s", outcome.Refusal.Message)
	}
}
