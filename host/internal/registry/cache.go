package registry

import (
	"crypto/sha256"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// record names a record of the store: a key may be megabytes in an id, and this is kept for long.
type record [sha256.Size]byte

func recordOf(key store.Key) record { return sha256.Sum256(store.AppendKey(nil, key)) }

// cache keeps what was made of records that nobody changes, only removes, so that any of it may be dropped and read again. It
// is bounded by the size of what is stored and not by a number: one entry may be as large as a request.
//
// What is removed while it is being read must not be kept: whoever reads takes the epoch first.
type cache[K comparable, V any] struct {
	max int // bytes

	mu      sync.RWMutex
	entries map[K]entry[V]
	bytes   int
	// of are the entries that were made of a record: more than one when it was read in the name of several tenants.
	of map[record]map[K]bool
	// epoch counts what was dropped because a record changed.
	epoch uint64
	// deaf: removals are not told, so nothing is kept.
	deaf bool
}

type entry[V any] struct {
	value  V
	record record
	// revision is that of the record when it was read.
	revision uint64
	bytes    int
}

func newCache[K comparable, V any](maxBytes int) *cache[K, V] {
	return &cache[K, V]{max: maxBytes, entries: map[K]entry[V]{}, of: map[record]map[K]bool{}}
}

// get answers the zero value for what is not kept.
func (c *cache[K, V]) get(key K) V {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[key].value
}

// at answers what was made of a record at a revision.
func (c *cache[K, V]) at(key K, revision uint64) (none V) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.entries[key]; e.revision == revision {
		return e.value
	}
	return none
}

// now is the epoch, to be taken before a record is read.
func (c *cache[K, V]) now() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.epoch
}

// put keeps a value that was read in an epoch, and drops others until there is room for it.
func (c *cache[K, V]) put(epoch uint64, key K, value V, of store.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf || epoch != c.epoch {
		return
	}
	c.drop(key)
	e := entry[V]{value, recordOf(of.Key), of.Revision, len(of.Body)}
	c.entries[key] = e
	c.bytes += e.bytes
	if c.of[e.record] == nil {
		c.of[e.record] = map[K]bool{}
	}
	c.of[e.record][key] = true
	for other := range c.entries {
		if c.bytes <= c.max {
			return
		}
		if other != key {
			c.drop(other)
		}
	}
}

// drop is called with the lock held.
func (c *cache[K, V]) drop(key K) {
	e, ok := c.entries[key]
	if !ok {
		return
	}
	c.bytes -= e.bytes
	delete(c.entries, key)
	if delete(c.of[e.record], key); len(c.of[e.record]) == 0 {
		delete(c.of, e.record)
	}
}

// changed drops what was made of a record before it changed.
func (c *cache[K, V]) changed(r record, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for key := range c.of[r] {
		if c.entries[key].revision < revision {
			c.drop(key)
		}
	}
}

// forget drops everything. A cache that is deaf keeps nothing from then on.
func (c *cache[K, V]) forget(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.deaf = deaf
	c.bytes = 0
	clear(c.entries)
	clear(c.of)
}
