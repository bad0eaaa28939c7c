package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// judge is an authenticator whose answers are given.
type judge struct {
	asked  atomic.Int64
	epoch  atomic.Int64
	answer func(token string) (auth.Answer, error)
}

func (j *judge) Authenticate(_ context.Context, c auth.Credential) (auth.Answer, error) {
	j.asked.Add(1)
	return j.answer(c.Bearer)
}

func (j *judge) Epoch() int64 { return j.epoch.Load() }

// vouch lets in who a token that begins with "good" names.
func vouch(token string) (auth.Answer, error) {
	if !strings.HasPrefix(token, "good") {
		return auth.Deny("it is not good"), nil
	}
	return auth.Answer{Principal: &auth.Principal{
		Subject: token[:min(12, len(token))], Issuer: "https://issuer.example", PolicyClass: "project", Expires: time.Now().Add(time.Hour), Roles: []auth.Role{{Name: "Given", Tenant: 3, Namespace: 4}},
	}}, nil
}

// show is what becomes of a token that somebody of this machine shows.
func show(t *testing.T, p *Policy, token string) string {
	t.Helper()
	header := "Bearer " + token
	return outcome(p.Authenticate(t.Context(), &Credentials{Peer: netip.MustParseAddr("127.0.0.1"), Authorization: &header}))
}

func TestAskedTokens(t *testing.T) {
	j := &judge{answer: vouch}
	p := New(Options{
		Local: true, Tokens: []string{"static"}, Authenticator: j, TenantsByRole: true,
		Principals: []Entry{{ID: "oidc:https://issuer.example#good-known", PolicyClass: "scratch", Roles: []Role{{Name: "Own", Tenant: 9}}}},
	})
	for token, want := range map[string]string{
		"static":     id("static"),
		"good-alice": "oidc:https://issuer.example#good-alice",
		// Attack: show a bad token from this machine, whose callers need none.
		"bad":   "unauthenticated: invalid bearer token: it is not good",
		"":      "unauthenticated: invalid authorization header",
		"bad é": "unauthenticated: missing authorization",
		// Attack: have the plugin asked for what no token is.
		"tab\ttab": "unauthenticated: invalid bearer token",
	} {
		if got := show(t, p, token); got != want {
			t.Errorf("%q: %s, want %s", token, got, want)
		}
	}
	if n := j.asked.Load(); n != 2 {
		t.Errorf("asked %d times, for the one good and the one bad token", n)
	}
	header := "Bearer good-known"
	who, _ := p.Authenticate(t.Context(), &Credentials{Authorization: &header})
	if got := fmt.Sprint(who.Method, who.Subject, who.PolicyClass, who.Roles, "token:"+who.Fingerprint); got != "bearer_token"+"good-known"+"scratch"+"[{Own 9 0} {Given 3 4}]"+id("good-known") {
		t.Error(got)
	}
	if got := outcome(p.Authenticate(t.Context(), &Credentials{Peer: netip.MustParseAddr("192.0.2.1")})); got != "unauthenticated: missing authorization" || !p.Challenges() {
		t.Error(got)
	}
	if got := outcome(New(Options{Authenticator: j}).Authenticate(t.Context(), &Credentials{Peer: netip.MustParseAddr("127.0.0.1")})); got != "unauthenticated: missing authorization" {
		t.Error(got)
	}
}

// TestWrongAnswers lets nobody in, whatever an authenticator answers that it may not.
func TestWrongAnswers(t *testing.T) {
	before := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panic is wanted
	defer slog.SetDefault(before)
	principal := func(alter func(*auth.Principal)) func(string) (auth.Answer, error) {
		return func(token string) (auth.Answer, error) {
			a, err := vouch(token)
			alter(a.Principal)
			return a, err
		}
	}
	for want, answer := range map[string]func(string) (auth.Answer, error){
		"nobody can tell: the auth plugin broke the protocol: it answered neither":      func(string) (auth.Answer, error) { return auth.Answer{}, nil },
		"nobody can tell: the auth plugin broke the protocol: it answered a subject":    principal(func(p *auth.Principal) { p.Subject = "" }),
		"nobody can tell: the auth plugin broke the protocol: it answered 129":          principal(func(p *auth.Principal) { p.Roles = make([]auth.Role, 129) }),
		"nobody can tell: the auth plugin broke the protocol: it answered an issuer":    principal(func(p *auth.Principal) { p.Issuer = "a#b" }),
		"nobody can tell: the auth plugin broke the protocol: it answered a principal ": principal(func(p *auth.Principal) { p.Expires = time.Time{} }),
		"nobody can tell: away":                        func(string) (auth.Answer, error) { return auth.Answer{}, fault.New(fault.Unavailable, "away") },
		"nobody can tell: internal error":              func(string) (auth.Answer, error) { panic("secret") },
		"invalid bearer token: the answer has expired": principal(func(p *auth.Principal) { p.Expires = time.Now().Add(-time.Second) }),
		"nobody can tell: both ":                       func(token string) (auth.Answer, error) { a, _ := vouch(token); return a, errors.New("both") },
		"nobody can tell: the auth plugin broke the protocol: it answered a reason that": func(token string) (auth.Answer, error) { return auth.Deny(token + " is not good"), nil },
	} {
		p := New(Options{Local: true, Authenticator: &judge{answer: answer}})
		got := show(t, p, "good-token-of-somebody")
		if !strings.HasPrefix(got, "unauthenticated: "+strings.TrimSpace(want)) || strings.Contains(got, "secret") || strings.Contains(got, "good-token-of-somebody") {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestRemembered is for how long an answer counts, and that it is for no other token.
func TestRemembered(t *testing.T) {
	j := &judge{}
	expires := time.Now().Add(time.Hour)
	j.answer = func(token string) (auth.Answer, error) {
		a, err := vouch(token)
		if a.Principal != nil {
			a.Principal.Expires = expires
		}
		return a, err
	}
	p := New(Options{Authenticator: j})
	now := time.Now()
	p.asker.now = func() time.Time { return now }
	want := func(when, token string, asked int64) {
		t.Helper()
		if _ = show(t, p, token); j.asked.Load() != asked {
			t.Errorf("%s: asked %d times, want %d", when, j.asked.Load(), asked)
		}
	}
	want("at first", "good", 1)
	want("at once", "good", 1)
	want("another", "good2", 2)
	now = now.Add(maxRemember - time.Second)
	want("within the time", "good", 2)
	now = now.Add(2 * time.Second)
	want("after it", "good", 3)
	// Attack: a token goes on for longer than it holds.
	expires = now.Add(time.Second)
	want("one that ends soon", "good3", 4)
	now = now.Add(2 * time.Second)
	if got := show(t, p, "good3"); got != "unauthenticated: invalid bearer token: the answer has expired" || j.asked.Load() != 5 {
		t.Error(got)
	}
	expires = now.Add(time.Hour)
	now = now.Add(maxRemember)
	want("a denial", "bad", 6)
	want("a denial, at once", "bad", 6)
	now = now.Add(rememberDenied + time.Second)
	want("a denial, after its time", "bad", 7)
	// Attack: a role that is gone from the plugin's settings counts on.
	want("before other settings", "good", 8)
	j.epoch.Add(1)
	want("after other settings", "good", 9)
}

// TestFloods: made-up tokens take bounded memory, push no caller out, and are asked for a bounded number at a time.
func TestFloods(t *testing.T) {
	j := &judge{answer: vouch}
	p := New(Options{Authenticator: j})
	if got := show(t, p, "good"); !strings.HasPrefix(got, "oidc:") {
		t.Fatal(got)
	}
	for i := range 2*maxRemembered + 10 {
		_ = show(t, p, fmt.Sprint("bad", i))
	}
	before := j.asked.Load()
	if _ = show(t, p, "good"); j.asked.Load() != before || len(p.asker.denied) > maxRemembered || len(p.asker.known) != 1 {
		t.Errorf("%d denials and %d callers are remembered", len(p.asker.denied), len(p.asker.known))
	}

	release := make(chan struct{})
	var inside, most atomic.Int64
	slow := &judge{answer: func(token string) (auth.Answer, error) {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer inside.Add(-1)
		<-release
		return vouch(token)
	}}
	p = New(Options{Authenticator: slow})
	var wg sync.WaitGroup
	var crowd atomic.Int64
	for i := range 2 * (maxAsked + maxWaiting) {
		wg.Go(func() {
			if strings.HasSuffix(show(t, p, fmt.Sprint("bad", i)), "too many tokens are being judged") {
				if crowd.Add(1) == maxAsked+maxWaiting {
					close(release) // those that are refused do not wait
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > maxAsked {
		t.Errorf("%d were asked at a time", most.Load())
	}
	// Many who show one token ask once.
	once := &judge{answer: func(token string) (auth.Answer, error) { time.Sleep(20 * time.Millisecond); return vouch(token) }}
	p = New(Options{Authenticator: once})
	for range 100 {
		wg.Go(func() { _ = show(t, p, "good") })
	}
	wg.Wait()
	if once.asked.Load() != 1 {
		t.Errorf("asked %d times", once.asked.Load())
	}
	if len(p.asker.flights) != 0 || len(p.asker.slots) != 0 {
		t.Error("something is left under way")
	}
}

// TestLeaving: a caller that leaves is not waited for, and takes nobody's answer along.
func TestLeaving(t *testing.T) {
	release := make(chan struct{})
	p := New(Options{Authenticator: &judge{answer: func(token string) (auth.Answer, error) { <-release; return vouch(token) }}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	header := "Bearer good"
	if got := outcome(p.Authenticate(ctx, &Credentials{Authorization: &header})); got != "unauthenticated: nobody can tell: "+errGone.Error() {
		t.Error(got)
	}
	close(release)
	if got := show(t, p, "good"); !strings.HasPrefix(got, "oidc:") {
		t.Error(got)
	}
}

// TestFlightOfBefore shows a token while the answer of a process that was replaced is still under way: a role that the new settings
// do not give must not come with it.
func TestFlightOfBefore(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	j := &judge{answer: func(token string) (auth.Answer, error) {
		if first.CompareAndSwap(false, true) {
			close(asked)
			<-release
			return vouch(token)
		}
		return auth.Deny("the settings have changed"), nil
	}}
	p := New(Options{Authenticator: j})
	before := make(chan string)
	go func() { before <- show(t, p, "good") }()
	<-asked
	j.epoch.Add(1)
	const want = "unauthenticated: invalid bearer token: the settings have changed"
	if got := show(t, p, "good"); got != want {
		t.Errorf("got %s", got)
	}
	close(release)
	if got := <-before; got != "oidc:https://issuer.example#good" {
		t.Errorf("who asked before was told %s", got)
	}
	if got := show(t, p, "good"); got != want {
		t.Errorf("what was answered late is remembered: %s", got)
	}
}
