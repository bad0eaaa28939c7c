package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Authenticator judges tokens that the configuration does not have, as an auth plugin does. Both bound their time themselves.
type Authenticator interface {
	Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error)
	// Epoch is another number when what was answered before may not hold any more.
	Epoch() int64
}

const (
	// maxRemember is how long an answer is believed at most: a role that is taken away at the issuer, or a subject, must not
	// count for as long as a token does.
	maxRemember = 30 * time.Second
	// rememberDenied is how long a denial is: keys of an issuer change.
	rememberDenied = 5 * time.Second
	// maxRemembered is how many answers are remembered of each sort. Denials have a room of their own: made-up tokens must not
	// push out those of callers.
	maxRemembered = 4096
	// maxAsked is how many tokens are being judged at a time, and maxWaiting how many more wait for that.
	maxAsked, maxWaiting = 32, 256
	// maxTurn is how long they wait.
	maxTurn = 5 * time.Second
)

type digest = [sha256.Size]byte

// asker asks an Authenticator once for a token, however many requests show it at a time, and remembers what it was told. It
// keeps no token but the digest that the key of the process makes of it.
type asker struct {
	authenticator Authenticator
	now           func() time.Time
	slots         chan struct{}

	mu      sync.Mutex
	epoch   int64
	known   map[digest]remembered
	denied  map[digest]remembered
	flights map[digest]*flight
}

type remembered struct {
	who    *Principal
	denial *Denial
	until  time.Time
}

// flight is a question under way.
type flight struct {
	epoch  int64
	done   chan struct{} // closed when the rest is set
	who    *Principal
	denial *Denial
}

func newAsker(a Authenticator) *asker {
	return &asker{
		authenticator: a, now: time.Now, slots: make(chan struct{}, maxAsked),
		known: map[digest]remembered{}, denied: map[digest]remembered{}, flights: map[digest]*flight{},
	}
}

// unknown is a denial because nobody can tell who calls.
func unknown(err error) *Denial {
	return &Denial{Detail: "nobody can tell: " + err.Error(), Fault: err}
}

var (
	errCrowd = fault.New(fault.Unavailable, "too many tokens are being judged")
	errGone  = fault.New(fault.Unavailable, "the caller did not wait for its token to be judged")
)

// asked is whose a token is that the configuration does not have.
func (p *Policy) asked(ctx context.Context, key digest, token string) (*Principal, *Denial) {
	if err := (auth.Credential{Bearer: token}).Check(); err != nil {
		return nil, errToken
	}
	a := p.asker
	a.mu.Lock()
	if epoch := a.authenticator.Epoch(); epoch != a.epoch {
		a.epoch = epoch
		clear(a.known)
		clear(a.denied)
	}
	for _, room := range []map[digest]remembered{a.known, a.denied} {
		if r, ok := room[key]; ok && a.now().Before(r.until) {
			a.mu.Unlock()
			return r.who, r.denial
		}
	}
	f := a.flights[key]
	// What is being answered under another epoch may not hold any more.
	if f == nil || f.epoch != a.epoch {
		if len(a.flights) >= maxAsked+maxWaiting {
			a.mu.Unlock()
			return nil, unknown(errCrowd)
		}
		f = &flight{epoch: a.epoch, done: make(chan struct{})}
		a.flights[key] = f
		// Not with the context of this caller, whom others who show the same token would fail with.
		go p.fly(f, key, token)
	}
	a.mu.Unlock()
	select {
	case <-f.done:
		return f.who, f.denial
	case <-ctx.Done():
		return nil, unknown(errGone)
	}
}

// fly asks for one token.
func (p *Policy) fly(f *flight, key digest, token string) {
	a := p.asker
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.flights[key] == f {
			delete(a.flights, key)
		}
		close(f.done)
	}()
	// What is not set below, or by a panic, lets nobody in.
	f.denial = unknown(fault.New(fault.Internal, "the token was not judged"))
	turn := time.NewTimer(maxTurn)
	defer turn.Stop()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-turn.C:
		f.denial = unknown(errCrowd)
		return
	}
	var err error
	defer func() {
		if err != nil {
			f.who, f.denial = nil, unknown(err)
		}
	}()
	defer fault.Recover(&err)
	answer, failed := a.authenticator.Authenticate(context.Background(), auth.Credential{Bearer: token})
	if failed == nil {
		failed = answer.Check(auth.Credential{Bearer: token})
	}
	if err = failed; err != nil {
		return
	}
	now := a.now()
	r := remembered{denial: &Denial{Detail: errToken.Detail + ": " + answer.Denied}, until: now.Add(rememberDenied)}
	switch who := answer.Principal; {
	case who != nil && !now.Before(who.Expires):
		r.denial.Detail = errToken.Detail + ": the answer has expired"
	case who != nil:
		r = remembered{who: p.vouched(who, token), until: now.Add(maxRemember)}
		if who.Expires.Before(r.until) {
			r.until = who.Expires
		}
	}
	f.who, f.denial = r.who, r.denial
	a.remember(key, r, f.epoch)
}

// remember keeps an answer, unless it is of another epoch. In a full room it takes the place of any.
func (a *asker) remember(key digest, r remembered, epoch int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if epoch != a.epoch {
		return
	}
	room := a.known
	if r.who == nil {
		room = a.denied
	}
	if len(room) >= maxRemembered {
		for other := range room {
			delete(room, other)
			break
		}
	}
	room[key] = r
}

// vouched is a caller that an Authenticator knows, with the roles of the configuration and those that it was told.
func (p *Policy) vouched(who *auth.Principal, token string) *Principal {
	sum := sha256.Sum256([]byte(token))
	out := &Principal{
		ID: oidcType + who.Issuer + "#" + who.Subject, Method: Bearer, Subject: who.Subject,
		Fingerprint: hex.EncodeToString(sum[:]), PolicyClass: who.PolicyClass,
	}
	if e := p.entries[out.ID]; e != nil {
		out.Roles = append(out.Roles, e.Roles...)
		if e.PolicyClass != "" {
			out.PolicyClass = e.PolicyClass
		}
	}
	for _, r := range who.Roles {
		out.Roles = append(out.Roles, Role{Name: r.Name, Tenant: gate.TenantID(r.Tenant), Namespace: gate.NamespaceID(r.Namespace)})
	}
	return out
}
