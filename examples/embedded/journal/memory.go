package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// memory is everything that was committed, by encoded key.
type memory struct {
	revision uint64
	values   map[string]value
	keys     []string // of values, in order
	answered map[[16]byte]answer
}

// value is a record without its key. Its bytes are never changed, only replaced.
type value struct {
	version uint64 // also the revision that wrote it; 0 when there is none
	body    []byte
	sum     [32]byte
}

// record is the value for a caller. The bytes are the journal's own, which never change.
func (v value) record(key store.Key) store.Record {
	return store.Record{Key: key, Version: v.version, Revision: v.version, Body: v.body, SHA256: v.sum}
}

// answer is what is remembered of a commit: a repeat gets the outcome again.
type answer struct {
	digest  [32]byte
	outcome store.Outcome
}

// effect is a commit as it is kept in the file.
type effect struct {
	ID       [16]byte
	Digest   [32]byte
	At       time.Time
	Revision uint64
	Writes   []write
}

// write is what an op leaves under its key: a body, or nothing.
type write struct {
	Key    string
	Delete bool
	Body   []byte
}

func (e effect) outcome() store.Outcome {
	o := store.Outcome{Revision: e.Revision, Versions: make([]uint64, len(e.Writes))}
	for i, w := range e.Writes {
		o.Versions[i] = w.value(e.Revision).version
	}
	return o
}

func (w write) value(revision uint64) value {
	if w.Delete {
		return value{}
	}
	return value{version: revision, body: w.Body, sum: sha256.Sum256(w.Body)}
}

func newMemory() *memory {
	return &memory{values: map[string]value{}, answered: map[[16]byte]answer{}}
}

func (m *memory) get(key string) value { return m.values[key] }

// apply does a commit, and keeps the keys in order.
func (m *memory) apply(e effect) {
	for _, w := range e.Writes {
		at, found := slices.BinarySearch(m.keys, w.Key)
		switch {
		case w.Delete && found:
			m.keys = slices.Delete(m.keys, at, at+1)
		case !w.Delete && !found:
			m.keys = slices.Insert(m.keys, at, w.Key)
		}
	}
	m.replay(e, true)
}

// replay does a commit that was read; sort comes after the last.
func (m *memory) replay(e effect, remember bool) {
	m.revision = e.Revision
	for _, w := range e.Writes {
		if w.Delete {
			delete(m.values, w.Key)
		} else {
			m.values[w.Key] = w.value(e.Revision)
		}
	}
	if remember {
		m.answered[e.ID] = answer{e.Digest, e.outcome()}
	}
}

func (m *memory) sort() { m.keys = slices.Sorted(maps.Keys(m.values)) }

// span is what is left of a scan: from <= key < to.
type span struct {
	from, to string
	reverse  bool
}

func newSpan(scan store.Scan) span {
	from, to := store.PrefixRange(scan.Collection, scan.Tenant, scan.Namespace, scan.Prefix)
	s := span{string(from), string(to), scan.Reverse}
	if len(scan.StartAfter) > 0 {
		s.pass(string(store.AppendKey(nil, store.Key{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace, Path: scan.StartAfter})))
	}
	return s
}

// pass leaves what comes after a key.
func (s *span) pass(key string) {
	if s.reverse {
		s.to = min(s.to, key)
	} else {
		s.from = max(s.from, key+"\x00") // the least key that is greater
	}
}

type keyed struct {
	value
	key string
}

// page takes the next values from a span.
func (m *memory) page(s *span, size int) []keyed {
	first := sort.SearchStrings(m.keys, s.from)
	last := max(first, sort.SearchStrings(m.keys, s.to))
	var page []keyed
	for _, key := range pick(m.keys[first:last], size, s.reverse) {
		page = append(page, keyed{m.values[key], key})
		s.pass(key)
	}
	return page
}

func pick(keys []string, size int, reverse bool) []string {
	if !reverse {
		return keys[:min(size, len(keys))]
	}
	picked := slices.Clone(keys[max(0, len(keys)-size):])
	slices.Reverse(picked)
	return picked
}

// batch is what the commits of one request do, each on top of those before it.
type batch struct {
	base     *memory
	now      time.Time
	revision uint64
	written  map[string]value
	answered map[[16]byte]answer
	effects  []effect
}

func (b *batch) get(key string) value {
	if v, ok := b.written[key]; ok {
		return v
	}
	return b.base.get(key)
}

// apply evaluates a commit: a repeat, a refusal, or an effect.
func (b *batch) apply(commit store.Commit) store.Outcome {
	digest := commit.Digest()
	earlier, known := b.answered[commit.ID]
	if !known {
		earlier, known = b.base.answered[commit.ID]
	}
	if known {
		if earlier.digest != digest {
			return store.Outcome{Refusal: &store.Refusal{Reason: store.Invalid, Message: "the commit id was used with other ops"}}
		}
		return earlier.outcome
	}
	if refusal := commit.Check(); refusal != nil {
		return store.Outcome{Refusal: refusal}
	}
	e := effect{ID: commit.ID, Digest: digest, At: b.now, Revision: b.revision + 1}
	for i, op := range commit.Ops {
		key := string(store.AppendKey(nil, op.Key))
		now := b.get(key)
		body, refusal := result(op, now)
		if refusal != nil {
			refusal.Op, refusal.Version = i, now.version
			return store.Outcome{Refusal: refusal}
		}
		e.Writes = append(e.Writes, write{Key: key, Delete: op.Kind == store.OpDelete, Body: body})
	}
	b.revision++
	for _, w := range e.Writes {
		b.written[w.Key] = w.value(b.revision)
	}
	b.answered[commit.ID] = answer{digest, e.outcome()}
	b.effects = append(b.effects, e)
	return e.outcome()
}

// result is the body that an op leaves.
func result(op store.Op, now value) ([]byte, *store.Refusal) {
	if op.Kind != store.OpAdd {
		if !op.Expect.Met(now.version) {
			return nil, &store.Refusal{Reason: store.Conflict}
		}
		return bytes.Clone(op.Body), nil
	}
	var count uint64
	switch {
	case now.version != 0 && len(now.body) != 8:
		return nil, &store.Refusal{Reason: store.Invalid, Message: "the record is no counter"}
	case now.version != 0:
		count = binary.BigEndian.Uint64(now.body)
	}
	switch {
	case op.Delta > 0 && (count > op.Max || uint64(op.Delta) > op.Max-count), // it would pass its maximum
		op.Delta < 0 && -uint64(op.Delta) > count: // or fall below 0; as unsigned, since the least int64 has no opposite
		return nil, &store.Refusal{Reason: store.Limit}
	}
	return binary.BigEndian.AppendUint64(nil, count+uint64(op.Delta)), nil
}
