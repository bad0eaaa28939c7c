package authtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

var checks = []check{
	{"Good", "a good token is answered with whose it is, their roles, and no longer than it holds", checkGood},
	{"Bad", "the token of every attack is denied, which is an answer", checkBad},
	{"Garbage", "what is no token is denied", checkGarbage},
	{"Mutations", "a good token with one character changed is denied", checkMutations},
	{"Reasons", "denials have a reason for the operator, without the token", checkReasons},
	{"Independent", "an answer depends on its token alone, whatever was asked before", checkIndependent},
	{"Concurrent", "tokens at the same time get each their own answer", checkConcurrent},
	{"Cancel", "calls that nobody waits for leave nothing behind that holds up others", checkCancel},
	{"Deadline", "calls without time to answer leave nothing behind either", checkDeadline},
	{"Wire", "messages that break the protocol are refused", checkWire},
	{"Log", "no token is in the log, nor a part of one", checkLog},
}

// ask asks within a host's patience.
func (b *bench) ask(token string) (auth.Answer, error) { return ask(b.ctx, b.authenticator, token) }

func ask(ctx context.Context, a auth.Authenticator, token string) (auth.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return a.Authenticate(ctx, auth.Credential{Bearer: token})
}

// wrongAnswer says how an answer is not the one of a good token; empty when it is.
func wrongAnswer(g *Good, a auth.Answer, err error) string {
	switch p := a.Principal; {
	case err != nil:
		return fmt.Sprintf("failed: %v", err)
	case p == nil:
		return "was denied: " + a.Denied
	case p.Subject != g.Want.Subject || p.Issuer != g.Want.Issuer:
		return fmt.Sprintf("was taken for %q of %q, it is that of %q of %q", p.Subject, p.Issuer, g.Want.Subject, g.Want.Issuer)
	case p.PolicyClass != g.Want.PolicyClass:
		return fmt.Sprintf("has the policy class %q, want %q", p.PolicyClass, g.Want.PolicyClass)
	case !slices.Equal(ordered(p.Roles), ordered(g.Want.Roles)):
		return fmt.Sprintf("has the roles %+v, want %+v", p.Roles, g.Want.Roles)
	case p.Expires.After(g.Want.Expires):
		return fmt.Sprintf("holds until %s, longer than the token, which ends at %s", p.Expires, g.Want.Expires)
	case !p.Expires.After(time.Now()):
		return fmt.Sprintf("has expired at %s already", p.Expires)
	default:
		return ""
	}
}

func ordered(roles []auth.Role) []auth.Role {
	return slices.SortedFunc(slices.Values(roles), func(a, b auth.Role) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Namespace, b.Namespace))
	})
}

// wantGood asks for every good token. After one that is not answered in time it stops: the others would wait as long.
func (b *bench) wantGood(when string) {
	b.Helper()
	for i := range b.fixture.Good {
		g := &b.fixture.Good[i]
		a, err := b.ask(g.Token)
		if text := wrongAnswer(g, a, err); text != "" {
			b.Errorf("%s: the good token %d %s", when, i, text)
		}
		if fault.Is(err, fault.Deadline) {
			return
		}
	}
}

// wantDenied asserts that a token lets nobody in, and that this is an answer.
func (b *bench) wantDenied(what, token string) {
	b.Helper()
	switch a, err := b.ask(token); {
	case err != nil:
		b.Errorf("%s: %v (%s), want a denial", what, err, fault.ReasonOf(err))
	case a.Principal != nil:
		b.Errorf("%s was taken for %q", what, a.Principal.Subject)
	}
}

// attacks calls do with every token that is bad.
func (b *bench) attacks(do func(attack Attack, token string)) {
	for _, attack := range slices.Sorted(maps.Keys(b.fixture.Bad)) {
		do(attack, b.fixture.Bad[attack])
	}
}

func checkGood(b *bench) { b.wantGood("a good token") }

func checkBad(b *bench) {
	b.attacks(func(attack Attack, token string) { b.wantDenied(string(attack), token) })
	b.wantGood("after attacks")
}

// garbage is no token of any kind.
var garbage = []string{
	"x", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", " ", "null", "{}", `{"alg":"none"}`, "e30.e30.", "e30.e30.e30", "AAAA.AAAA.AAAA", "' OR 1=1 --", "../../etc/passwd",
	strings.Repeat("x", auth.MaxToken), strings.Repeat(".", auth.MaxToken), strings.Repeat("e", auth.MaxToken/2) + "." + strings.Repeat("e", auth.MaxToken/2-1),
}

func checkGarbage(b *bench) {
	for _, token := range garbage {
		b.wantDenied(fmt.Sprintf("%.40q, of %d bytes,", token, len(token)), token)
	}
	b.wantGood("after garbage")
}

// mutations is how many places of a token are changed.
const mutations = 64

// checkMutations leaves the last characters of parts alone: of those some bits may carry nothing.
func checkMutations(b *bench) {
	b.wantGood("before it is changed")
	for i := range b.fixture.Good {
		token := b.fixture.Good[i].Token
		for at := 0; at < len(token); at += max(1, len(token)/mutations) {
			if at+1 == len(token) || token[at] == '.' || token[at+1] == '.' {
				continue
			}
			other := byte('A')
			if token[at] == 'A' {
				other = 'B'
			}
			b.wantDenied(fmt.Sprintf("the good token %d with another character %d", i, at), token[:at]+string(other)+token[at+1:])
		}
		b.wantDenied(fmt.Sprintf("the first half of the good token %d", i), token[:len(token)/2])
		b.wantDenied(fmt.Sprintf("the good token %d twice", i), token[:min(len(token), auth.MaxToken/2)]+token[:min(len(token), auth.MaxToken/2)])
	}
}

func checkReasons(b *bench) {
	deny := func(what, token string) {
		// What else is wrong with a reason, the client refuses.
		if a, err := b.ask(token); err != nil || strings.TrimSpace(a.Denied) == "" {
			b.Errorf("%s was denied without a reason: %q, %v", what, a.Denied, err)
		}
	}
	b.attacks(func(attack Attack, token string) { deny(string(attack), token) })
	for _, token := range garbage {
		deny(fmt.Sprintf("%.40q", token), token)
	}
}

func checkIndependent(b *bench) {
	const rounds = 3
	for range rounds {
		b.attacks(func(attack Attack, token string) {
			for i := range b.fixture.Good {
				g := &b.fixture.Good[i]
				a, err := b.ask(g.Token)
				if text := wrongAnswer(g, a, err); text != "" {
					b.Errorf("between attacks: the good token %d %s", i, text)
				}
				b.wantDenied("after a good token, "+string(attack), token)
			}
		})
	}
	b.wantDenied("after good tokens, half of one", b.fixture.Good[0].Token[:len(b.fixture.Good[0].Token)/2])
}

func checkConcurrent(b *bench) {
	const callers, rounds = 8, 4
	var wg sync.WaitGroup
	for range callers {
		for i := range b.fixture.Good {
			wg.Go(func() {
				for range rounds {
					g := &b.fixture.Good[i]
					a, err := b.ask(g.Token)
					if text := wrongAnswer(g, a, err); text != "" {
						b.Errorf("at the same time as others, the good token %d %s", i, text)
					}
				}
			})
		}
		b.attacks(func(attack Attack, token string) {
			wg.Go(func() { b.wantDenied("at the same time as good tokens, "+string(attack), token) })
		})
	}
	wg.Wait()
}

// abandoned is the number of calls that are given up: more than any pool of a plugin has workers.
const abandoned = 200

func checkCancel(b *bench) {
	b.abandon(func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(b.ctx)
		time.AfterFunc(time.Millisecond, cancel)
		return ctx, cancel
	})
	b.wantGood("after calls that were cancelled")
}

func checkDeadline(b *bench) {
	b.abandon(func() (context.Context, context.CancelFunc) { return context.WithTimeout(b.ctx, 2*time.Millisecond) })
	b.wantGood("after calls that ran out of time")
}

// abandon makes many calls whose contexts end soon. A call that is not answered must end with its context.
func (b *bench) abandon(soon func() (context.Context, context.CancelFunc)) {
	b.Helper()
	var wg sync.WaitGroup
	gate := make(chan struct{}, 32)
	for i := range abandoned {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			ctx, cancel := soon()
			defer cancel()
			_, err := ask(ctx, b.authenticator, b.fixture.Good[i%len(b.fixture.Good)].Token)
			if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Deadline) && !fault.Is(err, fault.Unavailable) {
				b.Errorf("a call failed before its context ended: %v", err)
			}
		})
	}
	wg.Wait()
}

// checkLog runs last what a plugin may want to tell of, and then looks for it.
func checkLog(b *bench) {
	tokens := slices.Collect(maps.Values(b.fixture.Bad))
	for i := range b.fixture.Good {
		token := b.fixture.Good[i].Token
		tokens = append(tokens, token, token[:len(token)-3]+"AAA")
	}
	for _, token := range tokens {
		_, _ = b.ask(token)
	}
	log := b.end()
	for _, token := range tokens {
		if auth.Leaks(log, auth.Credential{Bearer: token}) {
			b.Errorf("the log holds a token, or a part of one")
			return
		}
	}
}
