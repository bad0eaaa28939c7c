package ratelimit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_700_000_000, 0)

func peer(address string) Caller { return Caller{Peer: netip.MustParseAddr(address)} }

// TestWindow has one caller ask, and says after how long and with which answer.
func TestWindow(t *testing.T) {
	l := New(Options{MaxRequests: 2, Window: time.Second, MaxEntries: 4})
	alice := Caller{Principal: "token:a"}
	for i, step := range []struct {
		after, retry time.Duration
		allowed      bool
	}{
		{0, 0, true},
		{100 * time.Millisecond, 0, true},
		{300 * time.Millisecond, 700 * time.Millisecond, false},
		{999_999 * time.Microsecond, time.Millisecond, false},
		{time.Second, 0, true}, // a new window
		{1100 * time.Millisecond, 0, true},
		{1200 * time.Millisecond, 800 * time.Millisecond, false}, // which began at 1 s
		{5 * time.Second, 0, true},
	} {
		retry, allowed := l.Allow(alice, start.Add(step.after))
		if allowed != step.allowed || retry != step.retry {
			t.Errorf("step %d: %v %v, want %v %v", i, retry, allowed, step.retry, step.allowed)
		}
	}
	if _, allowed := l.Allow(Caller{Principal: "token:b"}, start.Add(5*time.Second)); !allowed {
		t.Error("one caller pays for another")
	}
}

// TestKeys says which callers share a count.
func TestKeys(t *testing.T) {
	for name, test := range map[string]struct {
		a, b Caller
		same bool
	}{
		"one address":                    {peer("192.0.2.1"), peer("192.0.2.1"), true},
		"two addresses":                  {peer("192.0.2.1"), peer("192.0.2.2"), false},
		"IPv4 in IPv6":                   {peer("192.0.2.1"), peer("::ffff:192.0.2.1"), true},
		"two IPv4 in IPv6":               {peer("::ffff:192.0.2.1"), peer("::ffff:192.0.2.2"), false},
		"one network of IPv6":            {peer("2001:db8::1"), peer("2001:db8::ffff:0:0:2"), true},
		"one network by another link":    {peer("fe80::1%eth0"), peer("fe80::2%eth1"), true},
		"two networks of IPv6":           {peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"), false},
		"principal, whatever the peer":   {Caller{"p", netip.MustParseAddr("192.0.2.1")}, Caller{"p", netip.MustParseAddr("192.0.2.2")}, true},
		"two principals of one peer":     {Caller{"p", netip.MustParseAddr("192.0.2.1")}, Caller{"q", netip.MustParseAddr("192.0.2.1")}, false},
		"principal named as a peer's is": {Caller{Principal: "192.0.2.1"}, peer("192.0.2.1"), false},
		"no address":                     {Caller{}, Caller{}, true},
	} {
		l := New(Options{MaxRequests: 1, Window: time.Hour, MaxEntries: 4})
		l.Allow(test.a, start)
		if _, allowed := l.Allow(test.b, start); allowed == test.same {
			t.Errorf("%s: the second is allowed: %v", name, allowed)
		}
	}
}

// TestFlood has strangers come from addresses without end: the table stays as small as it was told, a principal's count is
// kept, and nobody new is refused. In the contract's limiter everybody was.
func TestFlood(t *testing.T) {
	l := New(Options{MaxRequests: 1, Window: time.Hour, MaxEntries: 8})
	alice := Caller{Principal: "token:a"}
	l.Allow(alice, start)
	for i := range 10_000 {
		stranger := peer(fmt.Sprintf("2001:db8:%x:%x::1", i>>8, i&0xff))
		if _, allowed := l.Allow(stranger, start); !allowed {
			t.Fatalf("stranger %d is refused at the first request", i)
		}
		if len(l.entries) > 8 || l.strangers.Len()+l.known.Len() != len(l.entries) {
			t.Fatalf("the table holds %d callers, in lists %d and %d", len(l.entries), l.strangers.Len(), l.known.Len())
		}
	}
	if _, allowed := l.Allow(alice, start); allowed {
		t.Error("strangers have made the host forget a principal's count")
	}
	if _, allowed := l.Allow(Caller{Principal: "token:b"}, start); !allowed {
		t.Error("strangers lock a principal out")
	}
}

// TestFullOfPrincipals has more principals than places: the one idle longest is forgotten, strangers before any of them.
func TestFullOfPrincipals(t *testing.T) {
	l := New(Options{MaxRequests: 1, Window: time.Hour, MaxEntries: 2})
	allow := func(who string, want bool) {
		t.Helper()
		if _, allowed := l.Allow(Caller{Principal: who}, start); allowed != want {
			t.Errorf("%s: %v", who, allowed)
		}
	}
	allow("a", true)
	allow("b", true)
	allow("a", false) // b is idle longer now
	allow("c", true)
	allow("a", false)
	allow("b", true)
	l.Allow(peer("192.0.2.1"), start)
	allow("d", true)
	if l.strangers.Len() != 0 {
		t.Error("a principal has made place for another before a stranger has")
	}
}

// TestNeverMore has callers ask at random times: in no window does one get more than it may, unless it was forgotten, which
// is not possible with a place for each.
func TestNeverMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 4).Draw(t, "limit")
		l := New(Options{MaxRequests: limit, Window: time.Second, MaxEntries: 3})
		now := start
		allowed := map[string][]time.Time{}
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "pause")) * time.Millisecond)
			who := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "caller")
			retry, ok := l.Allow(Caller{Principal: who}, now)
			if ok {
				allowed[who] = append(allowed[who], now)
				continue
			}
			if retry <= 0 || retry > time.Second {
				t.Fatalf("told to try again after %v", retry)
			}
			// As many as may be lie within one window before this one.
			times := allowed[who]
			if int64(len(times)) < limit || now.Sub(times[int64(len(times))-limit]) >= time.Second {
				t.Fatalf("refused after %v", times)
			}
		}
		// A fixed window lets at most twice its count pass in the time of one.
		for who, times := range allowed {
			for i := range times {
				if j := i + 2*int(limit); j < len(times) && times[j].Sub(times[i]) < time.Second {
					t.Fatalf("%s was allowed %v", who, times)
				}
			}
		}
	})
}
