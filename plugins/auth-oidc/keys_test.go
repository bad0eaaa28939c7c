package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// clock is one that the test turns.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// clocked opens an authenticator whose clock the test turns.
func clocked(t *testing.T, config map[string]any) (*authenticator, *clock) {
	a, c := start(t, config), &clock{}
	a.keys.now, a.keys.logger = c.now, slog.New(slog.DiscardHandler)
	return a, c
}

const (
	unknownKey = "denied: the issuer has no key with the id that the token names"
	unfetched  = "error: the keys of the issuer cannot be fetched; the log of the plugin says why"
)

// TestRotation follows the issuer's keys: a new one counts from the first token that names it, one that is gone until the keys
// are refreshed.
func TestRotation(t *testing.T) {
	first, second := ecKey(t), ecKey(t)
	i := newIssuer(t, first.Public())
	a, clock := clocked(t, i.config())
	claims := i.claims("alice")
	old, fresh := sign(jose.ES256, first, "first", nil, claims), sign(jose.ES256, second, "second", nil, claims)
	want := func(when, token, want string) {
		t.Helper()
		if got := outcome(t, a, token); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	want("at first", old, "alice []")
	want("before the new key is there", fresh, unknownKey)
	i.publish(jwk("first", first.Public()), jwk("second", second.Public()))
	want("before the pause is over", fresh, unknownKey)
	clock.advance(11 * time.Second)
	want("the new key", fresh, "alice []")
	want("the old key, still there", old, "alice []")
	i.publish(jwk("second", second.Public()))
	want("the old key, remembered", old, "alice []")
	clock.advance(6 * time.Minute)
	want("the old key, after a refresh", old, unknownKey)
	want("the new key, after a refresh", fresh, "alice []")
}

// TestForgedKeyIDs: the attack is to have this machine ask the issuer for every token that names a key which nobody has. It
// asks once in a pause, however many come, and good tokens are let in meanwhile.
func TestForgedKeyIDs(t *testing.T) {
	key := ecKey(t)
	i := newIssuer(t, key.Public())
	a, clock := clocked(t, i.config())
	good := sign(jose.ES256, key, "first", nil, i.claims("alice"))
	other := ecKey(t)
	for round := range 3 {
		var wg sync.WaitGroup
		for n := range 50 {
			forged := sign(jose.ES256, other, fmt.Sprint("forged-", round, n), nil, i.claims("alice"))
			known := sign(jose.ES256, other, "first", nil, i.claims("alice"))
			wg.Go(func() {
				if got := outcome(t, a, forged); got != unknownKey {
					t.Error(got)
				}
				if got := outcome(t, a, known); got != "denied: the signature is not one of the issuer's" {
					t.Error(got)
				}
				if got := outcome(t, a, good); got != "alice []" {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		// One at the start, and at most one in each pause.
		if n := i.fetches.Load(); n > int64(round+2) {
			t.Errorf("round %d: the keys were fetched %d times", round, n)
		}
		clock.advance(11 * time.Second)
	}
}

// TestOutage keeps keys while the issuer is away, for a time, and says what it cannot know.
func TestOutage(t *testing.T) {
	key := ecKey(t)
	i := newIssuer(t, key.Public())
	a, clock := clocked(t, i.config())
	claims := i.claims("alice")
	claims["exp"] = time.Now().Add(100 * time.Hour).Unix()
	good, unknown := sign(jose.ES256, key, "first", nil, claims), sign(jose.ES256, ecKey(t), "second", nil, claims)
	want := func(when, token, want string) {
		t.Helper()
		if got := outcome(t, a, token); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	away := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "away", http.StatusBadGateway) }
	i.misbehave(away)
	want("before any key", good, unfetched)
	if err := a.Health(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("ready without keys: %v", err)
	}
	i.misbehave(nil)
	want("in the pause after a failure", good, unfetched)
	clock.advance(11 * time.Second)
	want("once they are there", good, "alice []")
	if err := a.Health(t.Context()); err != nil {
		t.Error(err)
	}
	i.misbehave(away)
	clock.advance(10 * time.Minute)
	want("ten minutes into an outage", good, "alice []")
	want("ten minutes into an outage, another key", unknown, unfetched)
	// Attack: cut the issuer off, and have a key that it has withdrawn count for ever.
	clock.advance(time.Hour)
	want("an hour into an outage", good, unfetched)
	i.misbehave(nil)
	clock.advance(11 * time.Second)
	want("after the outage", good, "alice []")
}

// TestHostileIssuers: whatever the issuer's machine answers, no key comes of it, and no memory or time is lost with it.
func TestHostileIssuers(t *testing.T) {
	key := ecKey(t)
	evil := newIssuer(t, key.Public())
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	var taken atomic.Int64 // of what never ends
	for name, handle := range map[string]func(i *issuer) http.HandlerFunc{
		// Attack: have this machine ask another one, and take its keys.
		"redirects": func(*issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL+"/keys", http.StatusFound) }
		},
		// Attack: fill the memory.
		"never ends": func(*issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				for range 1 << 12 {
					n, err := w.Write(make([]byte, 64<<10))
					if taken.Add(int64(n)); err != nil {
						return
					}
				}
			}
		},
		// Attack: hold every caller up.
		"hangs": func(*issuer) http.HandlerFunc {
			return func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-r.Context().Done():
				case <-stop:
				}
			}
		},
		"is no JSON": func(*issuer) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }
		},
		"has no keys": func(i *issuer) http.HandlerFunc { i.publish(); return nil },
		"has too many keys": func(i *issuer) http.HandlerFunc {
			many := make([]any, maxKeys+1)
			for n := range many {
				many[n] = jwk(fmt.Sprint(n), key.Public())
			}
			i.publish(many...)
			return nil
		},
		// Attack: the discovery document of another issuer.
		"is another issuer": func(i *issuer) http.HandlerFunc { i.discovery["issuer"] = evil.URL; return nil },
		// Attack: keys of another machine, which has not been named.
		"has its keys elsewhere": func(i *issuer) http.HandlerFunc { i.discovery["jwks_uri"] = evil.URL + "/keys"; return nil },
		"has its keys in a file": func(i *issuer) http.HandlerFunc { i.discovery["jwks_uri"] = "file:///etc/passwd"; return nil },
		"says that its keys are anywhere": func(i *issuer) http.HandlerFunc {
			i.discovery["jwks_uri"] = "http://169.254.169.254/latest/meta-data"
			return nil
		},
	} {
		i := newIssuer(t, key.Public())
		i.misbehave(handle(i))
		config := i.config()
		config["timeout"] = "300ms"
		a, _ := clocked(t, config)
		before := evil.fetches.Load()
		if got := outcome(t, a, sign(jose.ES256, key, "first", nil, i.claims("alice"))); got != unfetched {
			t.Errorf("an issuer that %s: %s", name, got)
		}
		if evil.fetches.Load() != before {
			t.Errorf("an issuer that %s: the other was asked", name)
		}
	}
	// What the sockets hold is sent as well.
	if taken.Load() > 64<<20 {
		t.Errorf("%d bytes were taken of an answer that never ends", taken.Load())
	}
	// What the operator names is asked.
	i := newIssuer(t, ecKey(t).Public())
	i.discovery["jwks_uri"] = evil.URL + "/keys"
	config := i.config()
	config["jwks_hosts"] = []string{strings.TrimPrefix(evil.URL, "http://")}
	a, _ := clocked(t, config)
	if got := outcome(t, a, sign(jose.ES256, key, "first", nil, i.claims("alice"))); got != "alice []" {
		t.Error(got)
	}
}

// TestAddresses is where keys are never fetched from, whatever a name resolves to.
func TestAddresses(t *testing.T) {
	far, err := readSettings([]byte(`{"issuer":"https://issuer.example","audiences":["a"],"algorithms":["ES256"],"roles_claim":["r"]}`))
	if err != nil {
		t.Fatal(err)
	}
	near, err := readSettings([]byte(`{"issuer":"http://127.0.0.1:1","audiences":["a"],"algorithms":["ES256"],"roles_claim":["r"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string][2]bool{
		"192.0.2.1:443":            {true, false},
		"10.0.0.1:443":             {true, false}, // issuers of a company are there
		"127.0.0.1:443":            {false, true},
		"[::1]:443":                {false, true},
		"[::ffff:127.0.0.1]:443":   {false, true},
		"169.254.169.254:80":       {false, false},
		"[fe80::1]:443":            {false, false},
		"0.0.0.0:443":              {false, false},
		"[::]:443":                 {false, false},
		"224.0.0.1:443":            {false, false},
		"[::ffff:169.254.1.1]:443": {false, false},
	} {
		if got := [2]bool{checkAddress(far, address) == nil, checkAddress(near, address) == nil}; got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

// TestWaiting ends with its caller while the issuer hangs, and closing does not hang either.
func TestWaiting(t *testing.T) {
	key := ecKey(t)
	i := newIssuer(t, key.Public())
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	i.misbehave(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-released:
		}
	})
	config := i.config()
	config["timeout"] = "1m"
	a, _ := clocked(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := a.Authenticate(ctx, auth.Credential{Bearer: sign(jose.ES256, key, "first", nil, i.claims("alice"))})
	if !fault.Is(err, fault.Deadline) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
