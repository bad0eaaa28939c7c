package upkeep

import (
	"context"
	"errors"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// batchRecords is the number of changes that are handed on together: what a commit takes, less the checkpoint.
	batchRecords = store.MaxOps - 1
	// batchBytes is the size of bodies from which no further record joins a batch: a batch may still hold one of the largest.
	batchBytes = 8 << 20
	// getBytes is the size of what one Get has answered from which the next asks for fewer records.
	getBytes = 16 << 20
)

// batch is a part of what has changed: each key once, with what it holds now.
type batch struct {
	// ops are puts and deletes that expect nothing.
	ops   []store.Op
	bytes uint64
	// position says that everything up to this revision has been handed on with this batch.
	position uint64
	// ahead is the newest revision of all that was handed on.
	ahead uint64
}

// feed reads what a store holds, in the order in which it was written, and then what changes. The change feed tells keys; what
// they hold is read after, and may be newer than what was told. So the batches up to a position are the store as it was at
// that position only when none of them was ahead of it: then the feed is whole.
type feed struct {
	source store.Store
	// position is the revision up to which everything was handed on.
	position uint64
	// ahead is the newest revision that was handed on.
	ahead uint64
	// keys is the number of keys of the next Get.
	keys int
	// told is the number of changes since the position of a set was reached the last time, and small says that there were no
	// more than a commit has: a page that a store cuts amid a commit is larger.
	told  int
	small bool
}

func newFeed(source store.Store, position, ahead uint64) *feed {
	return &feed{source: source, position: position, ahead: ahead, keys: batchRecords}
}

// whole says that nothing that was handed on is newer than the position.
func (f *feed) whole() bool { return f.position >= f.ahead }

// moment says that what was handed on is the store as it was at one moment, between two commits: it is whole, and the position
// is not amid a commit, whose records may have a revision each.
func (f *feed) moment(ctx context.Context) (bool, error) {
	if !f.whole() || f.small {
		return f.whole(), nil
	}
	description, err := f.source.Describe(ctx)
	return f.position == description.Revision, err
}

// follow hands on what changes, in batches, until done says after one that it is enough, or the context ends.
func (f *feed) follow(ctx context.Context, take func(batch) error, done func() bool) error {
	var stopped error // that of take, which is no fault of the source
	err := patient(ctx, func(moved func()) error {
		err := f.source.Changes(ctx, f.position, func(set store.ChangeSet) error {
			stopped = f.read(ctx, set, func(b batch) error {
				moved()
				if err := take(b); err != nil {
					return &takeError{err}
				}
				return nil
			})
			if stopped == nil && done() {
				return errEnough
			}
			return stopped
		})
		if taken := (*takeError)(nil); errors.As(err, &taken) {
			return nil
		}
		stopped = nil
		return err
	})
	if taken := (*takeError)(nil); errors.As(stopped, &taken) {
		return taken.error
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// takeError is of whoever takes batches.
type takeError struct{ error }

// wholePatience is how long the writers of a store may keep it from being whole. Each look is a try of its own: it fails only
// when a record that was told is written again within the moment until it is read.
const wholePatience = 2 * time.Minute

// catchUp follows up to the newest revision that there is now, and on until it is whole.
func (f *feed) catchUp(ctx context.Context, take func(batch) error) error {
	description, err := describe(ctx, f.source)
	if err != nil {
		return err
	}
	return f.reach(ctx, description.Revision, take)
}

// reach follows up to a revision, and on until that is the store at one moment.
func (f *feed) reach(ctx context.Context, revision uint64, take func(batch) error) error {
	if there, err := f.moment(ctx); err != nil || there && f.position >= revision {
		return err
	}
	var (
		since  time.Time
		there  bool
		failed error
	)
	err := f.follow(ctx, take, func() bool {
		if f.position < revision {
			return false
		}
		if there, failed = f.moment(ctx); there || failed != nil {
			return true
		}
		if since.IsZero() {
			since = time.Now()
		}
		return time.Since(since) > wholePatience
	})
	switch {
	case err != nil:
		return err
	case failed != nil:
		return failed
	case !there:
		return fault.New(fault.Unavailable, "the source was written to all the time, so that for %s there was no moment at which it could be read as one; try again when it is less busy: what was done is kept", wholePatience)
	}
	return nil
}

// read hands on what a set of changes tells.
func (f *feed) read(ctx context.Context, set store.ChangeSet, take func(batch) error) error {
	f.small = false
	for changes := set.Changes; len(changes) > 0; {
		n := min(f.keys, len(changes))
		ops, size, err := f.current(ctx, changes[:n])
		if fault.Is(err, fault.TooLarge) && n > 1 {
			f.keys = n / 2
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case size >= getBytes:
			f.keys = max(1, n/2)
		case n == f.keys:
			f.keys = min(2*f.keys, batchRecords)
		}
		told := changes[n-1].Revision
		changes = changes[n:]
		position := told - 1 // more of this revision may follow
		if len(changes) > 0 && changes[0].Revision > told {
			position = told
		} else if len(changes) == 0 {
			position = max(position, set.Complete)
		}
		if err := f.hand(ops, max(position, f.position), take); err != nil {
			return err
		}
	}
	// Parts of a set that was too large for a message come with the position of before.
	f.told += len(set.Changes)
	if f.position = max(f.position, set.Complete); set.Complete >= f.position {
		f.told, f.small = 0, f.told <= store.MaxOps
	}
	return nil
}

// hand splits ops into batches; only the last brings the position.
func (f *feed) hand(ops []store.Op, position uint64, take func(batch) error) error {
	for {
		b := batch{position: f.position, ahead: f.ahead}
		for len(ops) > 0 && (len(b.ops) == 0 || b.bytes+uint64(len(ops[0].Body)) <= batchBytes) {
			b.bytes += uint64(len(ops[0].Body))
			b.ops, ops = append(b.ops, ops[0]), ops[1:]
		}
		last := len(ops) == 0
		if last {
			b.position = position
		}
		if len(b.ops) > 0 {
			if err := take(b); err != nil {
				return err
			}
		}
		f.position = b.position
		if last {
			return nil
		}
	}
}

// current reads what the keys of changes hold now.
func (f *feed) current(ctx context.Context, changes []store.Change) (ops []store.Op, size int, err error) {
	var order, keys []store.Key
	removed := make(map[string]bool, len(changes))
	for _, change := range changes {
		if change.Key.Collection == ownCollection {
			continue
		}
		name := string(store.AppendKey(nil, change.Key))
		if _, again := removed[name]; !again {
			order = append(order, change.Key)
		}
		removed[name] = change.Deleted
	}
	for _, key := range order {
		if removed[string(store.AppendKey(nil, key))] {
			ops = append(ops, store.Op{Kind: store.OpDelete, Key: key})
		} else {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return ops, 0, nil
	}
	records, err := f.source.Get(ctx, keys)
	if err != nil {
		return nil, 0, err
	}
	gone := false
	for _, record := range records {
		if record.Version == 0 {
			gone = true
			ops = append(ops, store.Op{Kind: store.OpDelete, Key: record.Key})
			continue
		}
		size += len(record.Body)
		f.ahead = max(f.ahead, record.Revision)
		ops = append(ops, store.Op{Kind: store.OpPut, Key: record.Key, Body: record.Body})
	}
	if gone {
		// It was removed after it was told, at a revision that will be told, and that is not above the newest.
		description, err := f.source.Describe(ctx)
		if err != nil {
			return nil, 0, err
		}
		f.ahead = max(f.ahead, description.Revision)
	}
	return ops, size, nil
}
