package registry

import "sync"

// cache keeps what never changes once it is stored, so that any of it may be dropped and read again. It is bounded by the
// size of what is stored and not by a number: one entry may be as large as a request.
type cache[K comparable, V any] struct {
	max int // bytes

	mu      sync.RWMutex
	entries map[K]sized[V]
	bytes   int
}

type sized[V any] struct {
	value V
	bytes int
}

func newCache[K comparable, V any](maxBytes int) *cache[K, V] {
	return &cache[K, V]{max: maxBytes, entries: map[K]sized[V]{}}
}

// get answers the zero value for what is not kept.
func (c *cache[K, V]) get(key K) V {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[key].value
}

// put keeps a value, and drops others until there is room for it.
func (c *cache[K, V]) put(key K, value V, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += bytes - c.entries[key].bytes
	c.entries[key] = sized[V]{value, bytes}
	for other, dropped := range c.entries {
		if c.bytes <= c.max {
			return
		}
		if other != key {
			c.bytes -= dropped.bytes
			delete(c.entries, other)
		}
	}
}
