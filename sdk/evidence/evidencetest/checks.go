package evidencetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

var checks = []check{
	{"Contract", "the contract is one that a host takes, and the same each time", checkContract},
	{"Examples", "every example of the contract answers as it says", checkExamples},
	{"Numbers", "numbers are answered as the contract writes them: 1 is not 1.0", checkNumbers},
	{"Answers", "an answer has a lane, and anchors and content types of its contract", checkAnswers},
	{"UnknownCheck", "a check that the contract does not have is refused", checkUnknown},
	{"HostileParams", "parameters that are missing or not an object are refused, whatever they are", checkHostileParams},
	{"LargeParams", "parameters of a megabyte cost an answer at most", checkLargeParams},
	{"Ids", "ids are any text, and tenants any number", checkIDs},
	{"Determinism", "what is not external depends on parameters and time alone, in every process", checkDeterminism},
	{"Tenants", "what one tenant asks changes no answer of another", checkTenants},
	{"Concurrent", "questions at the same time get each their own answer", checkConcurrent},
	{"Cancel", "questions that nobody waits for leave nothing behind that holds up others", checkCancel},
	{"Deadline", "questions without time to answer leave nothing behind either", checkDeadline},
	{"Wire", "messages that break the protocol are refused", checkWire},
}

// about is what the kit says of itself, at the time of the examples.
func (b *bench) about() evidence.Context {
	return evidence.Context{Tenant: 1, Namespace: 2, Run: "run", Scenario: "scenario", Stage: "stage", Trigger: "trigger", Time: b.target.time(), Correlation: "kit"}
}

// ask asks within a host's patience.
func (b *bench) ask(check string, params json.RawMessage, about evidence.Context) (evidence.Result, error) {
	return ask(b.ctx, b.provider, check, params, about)
}

func ask(ctx context.Context, p evidence.Provider, check string, params json.RawMessage, about evidence.Context) (evidence.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return p.Query(ctx, evidence.Query{Provider: "kit", Check: check, Params: params}, about)
}

// each calls do with every example of every check.
func (b *bench) each(do func(c *contractCheck, e *example)) {
	for i := range b.contract.Checks {
		c := &b.contract.Checks[i]
		for j := range c.Examples {
			do(c, &c.Examples[j])
		}
	}
}

// wrongAnswer says how an answer is not the one of an example; empty when it is. External answers vary, but come.
func wrongAnswer(c *contractCheck, e *example, r evidence.Result, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("answered the error %v", err)
	case r.Error != nil:
		return fmt.Sprintf("answered the error %s: %s", r.Error.Code, r.Error.Message)
	case c.external():
		return ""
	case r.JSON == nil && r.Bytes == nil:
		if string(e.Result) == "null" {
			return ""
		}
		return fmt.Sprintf("answered nothing, want %s", e.Result)
	case r.Bytes != nil:
		var want []byte
		if numbers, err := decode(e.Result); err == nil {
			want = byteArray(numbers)
		}
		if !bytes.Equal(want, r.Bytes) {
			return fmt.Sprintf("answered %d bytes, want %s", len(r.Bytes), e.Result)
		}
		return ""
	case !same(r.JSON, e.Result, false):
		return fmt.Sprintf("answered %.200s, want %.200s", r.JSON, e.Result)
	}
	return ""
}

// byteArray is the bytes of an array of numbers, which is how an example writes them.
func byteArray(v any) []byte {
	items, _ := v.([]any)
	out := make([]byte, 0, len(items))
	for _, item := range items {
		n, _ := item.(json.Number)
		i, err := n.Int64()
		if err != nil || i < 0 || i > 255 {
			return nil
		}
		out = append(out, byte(i))
	}
	return out
}

// wantExamples asks every example, and reports the first of each check that answers otherwise. After one that is not
// answered in time it stops: the others would wait as long.
func (b *bench) wantExamples(when string, about evidence.Context) {
	b.Helper()
	failed, hangs := "", false
	b.each(func(c *contractCheck, e *example) {
		if hangs || failed == c.ID {
			return
		}
		r, err := b.ask(c.ID, e.given(), about)
		if text := wrongAnswer(c, e, r, err); text != "" {
			failed, hangs = c.ID, fault.Is(err, fault.Deadline)
			b.Errorf("%s: %s with params %.200s %s", when, c.ID, e.Params, text)
		}
	})
}

// wantRefused asserts that there is no value: an error, or one in the result.
func (b *bench) wantRefused(what string, r evidence.Result, err error) {
	b.Helper()
	switch {
	case err == nil && r.Error == nil:
		b.Errorf("%s was answered with %.100s%.100x, want INVALID or an error in the result", what, r.JSON, r.Bytes)
	case err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge):
		b.Errorf("%s: %v (%s), want INVALID or an error in the result", what, err, fault.ReasonOf(err))
	}
}

func checkContract(b *bench) {
	for _, problem := range b.contract.problems() {
		b.Errorf("the contract: %s", problem)
	}
	first, err := b.provider.Contract(b.ctx)
	if err != nil {
		b.Fatalf("Contract: %v", err)
	}
	b.wantExamples("between two looks at the contract", b.about())
	for name, p := range map[string]evidence.Provider{"later": b.provider, "in another process": b.target.open(b.T).provider} {
		if again, err := p.Contract(b.ctx); err != nil || !same(first, again, true) {
			b.Errorf("the contract is another one %s (%v): scenarios were checked against the first", name, err)
		}
	}
}

func checkExamples(b *bench) { b.wantExamples("an example", b.about()) }

func checkNumbers(b *bench) {
	b.each(func(c *contractCheck, e *example) {
		r, err := b.ask(c.ID, e.given(), b.about())
		if err == nil && r.JSON != nil && !c.external() && !same(r.JSON, e.Result, true) {
			b.Errorf("%s with params %.200s answered %.200s, and its contract writes %.200s: numbers must keep their form", c.ID, e.Params, r.JSON, e.Result)
		}
	})
}

func checkAnswers(b *bench) {
	b.each(func(c *contractCheck, e *example) {
		r, err := b.ask(c.ID, e.given(), b.about())
		if err != nil {
			b.Errorf("%s with params %.200s: %v", c.ID, e.Params, err)
			return
		}
		if r.ContentType != "" && !slices.Contains(c.ContentTypes, r.ContentType) {
			b.Errorf("%s answered content type %q, its contract lists %q", c.ID, r.ContentType, c.ContentTypes)
		}
		if r.Anchor != nil && !slices.Contains(c.AnchorTypes, r.Anchor.Type) {
			b.Errorf("%s answered an anchor of type %q, its contract lists %q", c.ID, r.Anchor.Type, c.AnchorTypes)
		}
		// The hash of JSON is over its canonical form, which a host checks.
		if r.Bytes != nil && r.SHA256 != nil && *r.SHA256 != sha256.Sum256(r.Bytes) {
			b.Errorf("%s answered bytes with the hash of others", c.ID)
		}
	})
}

func checkUnknown(b *bench) {
	for _, c := range b.contract.Checks {
		for _, name := range []string{"", " ", c.ID + " ", strings.ToUpper(c.ID) + "_", c.ID + "\x00", "../" + c.ID, strings.Repeat("x", 1<<16)} {
			var params json.RawMessage
			if len(c.Examples) > 0 {
				params = c.Examples[0].given()
			}
			r, err := b.ask(name, params, b.about())
			b.wantRefused(fmt.Sprintf("the check %.40q, which the contract does not have,", name), r, err)
			if err != nil && err.Error() == "" {
				b.Errorf("the check %.40q was refused without a reason", name)
			}
		}
	}
}

// hostileParams are no parameters of any check.
var hostileParams = []string{
	`[]`, `[{}]`, `""`, `"x"`, `0`, `1e400`, `true`, `false`, strings.Repeat("[", 200) + strings.Repeat("]", 200),
}

func checkHostileParams(b *bench) {
	for _, c := range b.contract.Checks {
		for _, params := range hostileParams {
			r, err := b.ask(c.ID, json.RawMessage(params), b.about())
			b.wantRefused(fmt.Sprintf("%s with params %.20s", c.ID, params), r, err)
		}
		if c.ParamsRequired == nil || !*c.ParamsRequired {
			continue
		}
		missing := []json.RawMessage{nil, json.RawMessage("null")}
		if c.needsMember() {
			missing = append(missing, json.RawMessage("{}"), json.RawMessage(`{"no-such-parameter":{"a":[1,null]}}`))
		}
		for _, params := range missing {
			r, err := b.ask(c.ID, params, b.about())
			b.wantRefused(fmt.Sprintf("%s, which needs params, with %.50s", c.ID, params), r, err)
		}
	}
	b.wantExamples("after hostile params", b.about())
}

func checkLargeParams(b *bench) {
	large := strings.Repeat("x", 1<<20)
	for _, c := range b.contract.Checks {
		for _, params := range []string{`{"no-such-parameter":"` + large + `"}`, `"` + large + `"`, `{` + strings.Repeat(`"a":{`, 5000) + strings.Repeat(`}`, 5001)} {
			if r, err := b.ask(c.ID, json.RawMessage(params), b.about()); err == nil && len(r.JSON) > evidence.MaxValue {
				b.Errorf("%s answered %d bytes to large params", c.ID, len(r.JSON))
			}
		}
	}
	b.wantExamples("after large params", b.about())
}

func checkIDs(b *bench) {
	for _, text := range []string{"", "\x00", "../../etc/passwd", "日本 \u202e", "\x1b[31m\r\n", strings.Repeat("x", 64<<10)} {
		about := b.about()
		about.Run, about.Scenario, about.Stage, about.Trigger = text, text, text, text
		b.wantExamples(fmt.Sprintf("with ids %.20q", text), about)
	}
	for _, n := range []uint64{0, 1 << 63, 1<<64 - 1} {
		about := b.about()
		about.Tenant, about.Namespace = n, n
		b.wantExamples(fmt.Sprintf("with tenant and namespace %d", n), about)
	}
	about := b.about()
	about.Correlation = ""
	b.wantExamples("without correlation id", about)
}

func checkDeterminism(b *bench) {
	const rounds = 5
	for _, p := range []evidence.Provider{b.provider, b.target.open(b.T).provider} {
		b.each(func(c *contractCheck, e *example) {
			for i := range rounds {
				about := b.about()
				about.Run, about.Trigger, about.Stage, about.Correlation = fmt.Sprint("run-", i), fmt.Sprint("trigger-", i), fmt.Sprint("stage-", i), ""
				if c.Determinism == "deterministic" {
					about.Time = evidence.Time{UnixMillis: int64(i) * 1e12}
				}
				r, err := ask(b.ctx, p, c.ID, e.given(), about)
				if text := wrongAnswer(c, e, r, err); text != "" {
					b.Errorf("%s is %s, but the %d. question with params %.200s %s", c.ID, c.Determinism, i+1, e.Params, text)
					return
				}
			}
		})
	}
}

func checkTenants(b *bench) {
	other := b.about()
	other.Tenant, other.Namespace = 7, 7
	for i := range b.contract.Checks {
		// What fails for one tenant, and what is answered to it, is asked first.
		for _, params := range append([]string{`{"no-such-parameter":1}`}, hostileParams...) {
			_, _ = b.ask(b.contract.Checks[i].ID, json.RawMessage(params), other)
		}
	}
	b.wantExamples("after another tenant's wrong questions", b.about())
	// An answer is never that to the question before, whoever asked it.
	var all []func(evidence.Context) string
	b.each(func(c *contractCheck, e *example) {
		all = append(all, func(about evidence.Context) string {
			r, err := b.ask(c.ID, e.given(), about)
			return wrongAnswer(c, e, r, err)
		})
	})
	for i := range all {
		for j := range all {
			if text := all[i](other) + all[j](b.about()); text != "" {
				b.Errorf("two tenants in turn: %s", text)
			}
		}
	}
}

func checkConcurrent(b *bench) {
	const callers = 8
	var wg sync.WaitGroup
	wrong := make(chan string, 1)
	for range callers {
		b.each(func(c *contractCheck, e *example) {
			wg.Go(func() {
				for range 4 {
					r, err := b.ask(c.ID, e.given(), b.about())
					if text := wrongAnswer(c, e, r, err); text != "" {
						select {
						case wrong <- c.ID + " " + text:
						default:
						}
					}
				}
			})
		})
	}
	wg.Wait()
	select {
	case text := <-wrong:
		b.Errorf("at the same time as others, %s", text)
	default:
	}
}

// abandoned is the number of questions that are given up: more than any pool of a plugin has workers.
const abandoned = 200

func checkCancel(b *bench) {
	b.abandon(func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(b.ctx)
		time.AfterFunc(time.Millisecond, cancel)
		return ctx, cancel
	})
	b.wantExamples("after questions that were cancelled", b.about())
}

func checkDeadline(b *bench) {
	b.abandon(func() (context.Context, context.CancelFunc) { return context.WithTimeout(b.ctx, 2*time.Millisecond) })
	b.wantExamples("after questions that ran out of time", b.about())
}

// abandon asks many questions whose contexts end soon. A question that is not answered must end with its context.
func (b *bench) abandon(soon func() (context.Context, context.CancelFunc)) {
	b.Helper()
	var wg sync.WaitGroup
	gate := make(chan struct{}, 32)
	for range abandoned/len(b.contract.Checks) + 1 {
		b.each(func(c *contractCheck, e *example) {
			gate <- struct{}{}
			wg.Go(func() {
				defer func() { <-gate }()
				ctx, cancel := soon()
				defer cancel()
				_, err := ask(ctx, b.provider, c.ID, e.given(), b.about())
				if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Deadline) && !fault.Is(err, fault.Unavailable) {
					b.Errorf("%s failed before its context ended: %v", c.ID, err)
				}
			})
		})
	}
	wg.Wait()
}
