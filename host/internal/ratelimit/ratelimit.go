// Package ratelimit counts the requests of each caller in windows of fixed length (mcp contract §2.4). It counts in memory
// and forgets: a table that is full gives up whoever has been idle longest, so that nobody can be locked out by others, and
// never holds more than it was told to.
package ratelimit

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Options bound a Limiter.
type Options struct {
	// MaxRequests is how many requests a caller has in a Window, which begins with its first one.
	MaxRequests int64
	Window      time.Duration
	// MaxEntries is how many callers are counted at a time.
	MaxEntries int
}

// Caller is whose requests are counted together.
type Caller struct {
	// Principal is the id of a caller who was authenticated; empty for anybody else. A credential that was not verified
	// must not be in it: a flood of made-up ones would have a count of its own for each.
	Principal string
	// Peer is the address of a connection without a principal.
	Peer netip.Addr
}

// ipv6Bits are the bits of an IPv6 address that callers without a principal are told apart by: whoever has one address has
// the other 2^64 of its network, too.
const ipv6Bits = 64

// key is what a caller is counted by. An IPv4 address has one key, however it is written.
func (c Caller) key() string {
	if c.Principal != "" {
		return "principal:" + c.Principal
	}
	peer := c.Peer.Unmap().WithZone("")
	if !peer.Is6() {
		return "peer:" + peer.String()
	}
	network, _ := peer.Prefix(ipv6Bits) // of a valid IPv6 address there is one
	return "peer:" + network.String()
}

// Limiter counts requests. It is safe for concurrent use.
type Limiter struct {
	options Options

	mu      sync.Mutex
	entries map[string]*list.Element
	// strangers and known hold the entries of callers without and with a principal, the one idle longest in front.
	strangers, known list.List
}

// entry is the count of one caller.
type entry struct {
	key   string
	began time.Time
	count int64
	in    *list.List
}

// New makes a Limiter.
func New(options Options) *Limiter {
	return &Limiter{options: options, entries: map[string]*list.Element{}}
}

// Allow counts a request at the time now. When the caller's window is used up it is refused, and retryAfter is the time
// until the window ends, at least a millisecond.
func (l *Limiter) Allow(caller Caller, now time.Time) (retryAfter time.Duration, allowed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(caller)
	elapsed := now.Sub(e.began)
	if e.count == 0 || elapsed >= l.options.Window || elapsed < 0 {
		e.began, e.count, elapsed = now, 0, 0
	}
	if e.count >= l.options.MaxRequests {
		return max(l.options.Window-elapsed, time.Millisecond), false
	}
	e.count++
	return 0, true
}

// entry is that of the caller, who is not idle now; it takes the place of another when the table is full.
func (l *Limiter) entry(caller Caller) *entry {
	key := caller.key()
	if at, found := l.entries[key]; found {
		e := at.Value.(*entry)
		e.in.MoveToBack(at)
		return e
	}
	if len(l.entries) >= l.options.MaxEntries {
		l.evict()
	}
	e := &entry{key: key, in: &l.known}
	if caller.Principal == "" {
		e.in = &l.strangers
	}
	l.entries[key] = e.in.PushBack(e)
	return e
}

// evict forgets the stranger idle longest, else the principal: strangers without end can come from many addresses, and must
// not make the host forget how much a principal has asked.
func (l *Limiter) evict() {
	from := &l.strangers
	if from.Len() == 0 {
		from = &l.known
	}
	e := from.Remove(from.Front()).(*entry)
	delete(l.entries, e.key)
}
