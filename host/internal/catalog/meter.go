package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// latencyBounds are the upper bounds of the buckets in which calls are counted by how long they took.
var latencyBounds = []time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// maxMethods bounds what is counted apart; the protocol has fewer methods.
const maxMethods = 64

// Calls is what was counted of one method of a plugin, over all of its processes.
type Calls struct {
	// Method is its name in the protocol, such as Commit.
	Method string `json:"method"`
	Calls  uint64 `json:"calls"`
	// Errors counts by reason (package sdk/fault).
	Errors map[string]uint64 `json:"errors,omitempty"`
	// Seconds is how long all calls together took; that of a stream is the time to its end.
	Seconds float64 `json:"seconds"`
	// P50 and P99 are upper bounds in milliseconds of how long half, and 99 of 100, calls took at most; those over the highest bound are given it.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`

	buckets []uint64 // one for each of latencyBounds, and one for what took longer
}

// Buckets calls yield with each upper bound and how many calls took at most as long.
func (c *Calls) Buckets(yield func(bound time.Duration, calls uint64)) {
	sum := uint64(0)
	for i, bound := range latencyBounds {
		sum += c.buckets[i]
		yield(bound, sum)
	}
}

// quantile is an upper bound of what a share of the calls took.
func (c *Calls) quantile(share float64) float64 {
	need, sum := share*float64(c.Calls), uint64(0)
	for i, bound := range latencyBounds {
		if sum += c.buckets[i]; float64(sum) >= need {
			return bound.Seconds() * 1000
		}
	}
	return latencyBounds[len(latencyBounds)-1].Seconds() * 1000
}

// meter counts the calls to a plugin. A process that replaces another goes on counting.
type meter struct {
	mu      sync.Mutex
	methods map[string]*Calls
}

// observe is a launch.Spec's.
func (m *meter) observe(method string, took time.Duration, err error) {
	name := method[strings.LastIndexByte(method, '/')+1:]
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.methods[name]
	if c == nil {
		if len(m.methods) == maxMethods {
			return
		}
		if m.methods == nil {
			m.methods = map[string]*Calls{}
		}
		c = &Calls{Method: name, Errors: map[string]uint64{}, buckets: make([]uint64, len(latencyBounds)+1)}
		m.methods[name] = c
	}
	c.Calls++
	c.Seconds += took.Seconds()
	at, _ := slices.BinarySearch(latencyBounds, took)
	c.buckets[at]++
	// A caller that leaves is not the plugin's error.
	if err != nil && status.Code(err) != codes.Canceled {
		c.Errors[string(fault.ReasonOf(fault.FromStatus(err)))]++
	}
}

// calls is a copy of what was counted, by name.
func (m *meter) calls() []Calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Calls, 0, len(m.methods))
	for _, c := range m.methods {
		one := *c
		one.buckets = slices.Clone(c.buckets)
		one.Errors = maps.Clone(c.Errors)
		one.P50, one.P99 = one.quantile(0.5), one.quantile(0.99)
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Calls) int { return cmp.Compare(a.Method, b.Method) })
	return out
}
