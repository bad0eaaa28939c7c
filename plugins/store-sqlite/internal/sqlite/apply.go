package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// counterSize is the length in bytes of a counter's body.
const counterSize = 8

// transaction is what the commits of one SQL transaction share.
type transaction struct {
	*writer
	now time.Time
	// revision is the last one given.
	revision int64
	// fresh is the number of commits that did something.
	fresh int
}

// change is what one op will write.
type change struct {
	key []byte
	// row is the revision of the row that the key has, removed or not; 0 when it has none.
	row int64
	// none: a removal of what is not there.
	none    bool
	removed bool
	body    []byte
}

// apply does one commit: first every op is checked, then every op is written, so that a refused commit has written
// nothing that would have to be undone. That is sound because no two ops of a commit have one key.
func (t *transaction) apply(c store.Commit) (store.Outcome, error) {
	digest := c.Digest()
	if outcome, known, err := t.recall(c.ID, digest); known || err != nil {
		return outcome, err
	}
	changes := make([]change, len(c.Ops))
	for i, op := range c.Ops {
		var refusal *store.Refusal
		var err error
		changes[i], refusal, err = t.check(op)
		if err != nil {
			return store.Outcome{}, err
		}
		if refusal != nil {
			refusal.Op = i
			return store.Outcome{Refusal: refusal}, nil
		}
	}
	outcome := store.Outcome{Versions: make([]uint64, len(changes))}
	for i, ch := range changes {
		if ch.none {
			continue
		}
		if err := t.put(ch); err != nil {
			return store.Outcome{}, err
		}
		outcome.Revision = uint64(t.revision)
		if !ch.removed {
			// A record's version is its revision: it grows and never repeats, also after a removal.
			outcome.Versions[i] = uint64(t.revision)
		}
	}
	return outcome, t.remember(c.ID, digest, outcome)
}

// check reads the op's record and decides what to write.
func (t *transaction) check(op store.Op) (change, *store.Refusal, error) {
	ch := change{key: store.AppendKey(nil, op.Key), body: op.Body, removed: op.Kind == store.OpDelete}
	if op.Kind == store.OpAdd {
		return t.checkAdd(op, ch)
	}
	var current uint64
	err := t.find.each(func(r row) (bool, error) {
		ch.row = r.integer(0)
		if removed := r.integer(1) != 0; !removed {
			current = uint64(ch.row)
		}
		return false, nil
	}, ch.key)
	if err != nil {
		return ch, nil, err
	}
	if !op.Expect.Met(current) {
		return ch, &store.Refusal{Reason: store.Conflict, Version: current}, nil
	}
	ch.none = ch.removed && current == 0
	return ch, nil, nil
}

// checkAdd decides on an OpAdd.
func (t *transaction) checkAdd(op store.Op, ch change) (change, *store.Refusal, error) {
	var current, value uint64
	isCounter := true
	err := t.counter.each(func(r row) (bool, error) {
		ch.row = r.integer(0)
		if removed := r.integer(1) != 0; removed {
			return false, nil
		}
		current = uint64(ch.row)
		body := r.blob(3)
		if isCounter = len(body) == counterSize; !isCounter {
			return false, nil
		}
		// A counter changed on disk must not set anybody's quota.
		if sum := sha256.Sum256(body); string(r.raw(2)) != string(sum[:]) {
			return false, corruptBody(op.Key.Collection)
		}
		value = binary.BigEndian.Uint64(body)
		return false, nil
	}, ch.key)
	if err != nil {
		return ch, nil, err
	}
	if !isCounter {
		return ch, &store.Refusal{Reason: store.Invalid, Version: current,
			Message: fmt.Sprintf("the record of collection %q is no counter: its body is not %d bytes", op.Key.Collection, counterSize)}, nil
	}
	sum, ok := add(value, op.Delta, op.Max)
	if !ok {
		return ch, &store.Refusal{Reason: store.Limit, Version: current}, nil
	}
	ch.body = binary.BigEndian.AppendUint64(nil, sum)
	return ch, nil, nil
}

// add is value+delta when that is not below 0 and not above limit. A value above a limit that was lowered since may
// still fall, or usage over a new quota could never be given back.
func add(value uint64, delta int64, limit uint64) (uint64, bool) {
	if delta < 0 {
		// The negation is right for the smallest int64 too: as unsigned its magnitude is 2^63.
		magnitude := -uint64(delta)
		return value - magnitude, magnitude <= value
	}
	if value > limit {
		return value, delta == 0
	}
	return value + uint64(delta), uint64(delta) <= limit-value
}

// put writes a change under the next revision.
func (t *transaction) put(ch change) error {
	t.revision++
	var sum, body any
	if !ch.removed {
		s := sha256.Sum256(ch.body)
		sum, body = s[:], ch.body
	}
	if ch.row == 0 {
		return t.insert.run(t.revision, ch.key, sum, body)
	}
	return t.update.run(t.revision, sum, body, ch.row)
}

// recall answers a commit whose id is known: with its first outcome, or with a refusal when its ops are others.
func (t *transaction) recall(id [16]byte, digest [32]byte) (outcome store.Outcome, known bool, err error) {
	err = t.findCommit.each(func(r row) (_ bool, err error) {
		known = true
		if string(r.raw(0)) != string(digest[:]) {
			outcome = store.Outcome{Refusal: &store.Refusal{Reason: store.Invalid, Message: "the commit id was used before with other ops"}}
			return false, nil
		}
		outcome, err = decodeOutcome(r.raw(1))
		return false, err
	}, id[:])
	return outcome, known, err
}

func (t *transaction) remember(id [16]byte, digest [32]byte, outcome store.Outcome) error {
	t.fresh++
	return t.insertCommit.run(id[:], t.now.Unix(), digest[:], encodeOutcome(outcome))
}

const (
	// expireEvery is the number of commits after which old ids are removed: SQLite compiles the statement anew whenever its
	// bounds have changed, which in every transaction took a twentieth of the plugin's time.
	expireEvery = 256
	// expireAhead is how many old ids are removed beyond the number that was added: a backlog shrinks without any
	// transaction being long.
	expireAhead = 256
)

// expire removes ids older than their lifetime, a few at a time.
func (t *transaction) expire(lifetime time.Duration) error {
	added := t.sinceExpiry + t.fresh
	if added < expireEvery {
		return nil
	}
	// One more second, because times are kept in whole seconds.
	return t.expireCommits.run(t.now.Add(-lifetime-time.Second).Unix(), int64(added+expireAhead))
}

// encodeOutcome writes the outcome of a commit that happened: revision, count, versions.
func encodeOutcome(o store.Outcome) []byte {
	b := binary.AppendUvarint(nil, o.Revision)
	b = binary.AppendUvarint(b, uint64(len(o.Versions)))
	for _, v := range o.Versions {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func decodeOutcome(b []byte) (store.Outcome, error) {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	o := store.Outcome{Revision: next()}
	count := next()
	if count == 0 || count > store.MaxOps || uint64(len(b)) < count {
		return store.Outcome{}, fault.New(fault.Corrupt, "the recorded outcome of a commit is damaged; stop the host, keep a copy of the file for analysis and restore a backup")
	}
	for range count {
		o.Versions = append(o.Versions, next())
	}
	return o, nil
}
