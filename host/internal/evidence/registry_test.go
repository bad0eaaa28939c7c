package evidence

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a provider that does what a test says.
type stub func(ctx context.Context, q gate.EvidenceQuery) (gate.EvidenceResult, error)

func (s stub) Query(ctx context.Context, q gate.EvidenceQuery, _ gate.EvidenceContext) (gate.EvidenceResult, error) {
	return s(ctx, q)
}

func contractOf(id gate.ProviderID) *Contract {
	object := canonical.NewObject(nil)
	return &Contract{ProviderID: id, Transport: External, ConfigSchema: object, Checks: []Check{{
		CheckID: "ask", Determinism: "external", ParamsSchema: object, ResultSchema: object, AllowedComparators: []gate.Comparator{gate.Equals, gate.InSet, gate.Exists},
	}}}
}

func with(t *testing.T, r *Registry, id gate.ProviderID, s stub) {
	t.Helper()
	if err := r.Register(id, s, contractOf(id)); err != nil {
		t.Fatal(err)
	}
}

func answer(text string) gate.EvidenceResult {
	return verified(canonical.NewString(text), gate.EvidenceAnchor{}, "text/plain")
}

func conditions(providers ...gate.ProviderID) []gate.ConditionSpec {
	list := make([]gate.ConditionSpec, len(providers))
	for i, p := range providers {
		list[i] = gate.ConditionSpec{ConditionID: gate.ConditionID(fmt.Sprint(i)), Query: gate.EvidenceQuery{ProviderID: p, CheckID: "ask"}, Comparator: gate.Exists}
	}
	return list
}

// TestGatherKeepsTrouble: what one provider does to its condition, the others do not notice.
func TestGatherKeepsTrouble(t *testing.T) {
	r := newRegistry(t, Options{Policy: Policy{Deny: []gate.ProviderID{"denied"}}})
	release := make(chan struct{})
	released := make(chan struct{})
	with(t, r, "good", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) { return answer("x"), nil })
	with(t, r, "deaf", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
		<-release
		close(released)
		return answer("late"), nil
	})
	with(t, r, "slow", func(ctx context.Context, _ gate.EvidenceQuery) (gate.EvidenceResult, error) {
		<-ctx.Done()
		return gate.EvidenceResult{}, fmt.Errorf("reading /secret/path: %w", ctx.Err())
	})
	with(t, r, "panics", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) { panic("password") })
	with(t, r, "fails", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
		return gate.EvidenceResult{}, errors.New("no such build")
	})
	with(t, r, "denied", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) { return answer("x"), nil })
	got := r.Gather(t.Context(), conditions("good", "deaf", "slow", "panics", "fails", "denied", "unknown"), gate.EvidenceContext{}, 50*time.Millisecond)
	for id, want := range map[gate.ConditionID]string{
		"0": "", "1": "provider did not answer in time", "2": "provider did not answer in time", "3": "provider failed", "4": "no such build",
		"5": "provider blocked by policy: denied", "6": "provider not registered: unknown",
	} {
		text := ""
		if err := got[id].Err; err != nil {
			text = err.Error()
		}
		if text != want || (want == "") != (got[id].Result.Value != nil) {
			t.Errorf("condition %s: %q, want %q", id, text, want)
		}
	}
	close(release)
	<-released
}

func TestGatherAsksAtOnce(t *testing.T) {
	r := newRegistry(t, Options{})
	running, most := atomic.Int32{}, atomic.Int32{}
	all := make(chan struct{})
	var full sync.Once
	with(t, r, "p", func(ctx context.Context, _ gate.EvidenceQuery) (gate.EvidenceResult, error) {
		defer running.Add(-1)
		n := running.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		if n == maxConcurrent {
			full.Do(func() { close(all) })
		}
		select {
		case <-all:
			return answer("x"), nil
		case <-ctx.Done():
			return gate.EvidenceResult{}, ctx.Err()
		}
	})
	got := r.Gather(t.Context(), conditions(slices.Repeat([]gate.ProviderID{"p"}, maxConcurrent+10)...), gate.EvidenceContext{}, 10*time.Second)
	for id, a := range got {
		if a.Err != nil {
			t.Fatalf("%s: %v: at most %d were asked at once", id, a.Err, most.Load())
		}
	}
	if len(got) != maxConcurrent+10 || most.Load() > maxConcurrent {
		t.Errorf("%d answers, %d at once", len(got), most.Load())
	}
}

// TestAbandonedQueriesAreBounded: a provider that never returns holds only so many goroutines, and other providers go on.
func TestAbandonedQueriesAreBounded(t *testing.T) {
	r := newRegistry(t, Options{Time: &TimeOptions{}})
	release, entered := make(chan struct{}), atomic.Int32{}
	with(t, r, "deaf", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
		entered.Add(1)
		<-release
		return gate.EvidenceResult{}, nil
	})
	for range maxInFlight/maxConcurrent + 2 {
		r.Gather(t.Context(), conditions(slices.Repeat([]gate.ProviderID{"deaf"}, maxConcurrent)...), gate.EvidenceContext{}, 20*time.Millisecond)
	}
	if entered.Load() != maxInFlight {
		t.Errorf("%d queries hang, want %d", entered.Load(), maxInFlight)
	}
	ec := gate.EvidenceContext{TriggerTime: gate.Timestamp{Kind: gate.UnixMillis, Millis: 5}}
	if _, err := r.Query(t.Context(), gate.EvidenceQuery{ProviderID: "time", CheckID: "now"}, ec); err != nil {
		t.Error(err)
	}
	close(release)
}

func TestPolicy(t *testing.T) {
	spec := &gate.ScenarioSpec{Conditions: conditions("b", "time", "a", "b")}
	spec.Conditions[1].Query.CheckID = "now"
	for _, c := range []struct {
		policy Policy
		want   *gate.ProviderMissing
	}{
		{Policy{}, &gate.ProviderMissing{MissingProviders: []string{"a", "b"}, RequiredCapabilities: []string{"ask"}}},
		{Policy{Allow: []gate.ProviderID{"time"}}, &gate.ProviderMissing{MissingProviders: []string{"a", "b"}, RequiredCapabilities: []string{"ask"}}},
		{Policy{Allow: []gate.ProviderID{"time", "a"}, Deny: []gate.ProviderID{"time"}},
			&gate.ProviderMissing{MissingProviders: []string{"a", "b", "time"}, RequiredCapabilities: []string{"ask", "now"}, BlockedByPolicy: true}},
		{Policy{Allow: []gate.ProviderID{}}, &gate.ProviderMissing{MissingProviders: []string{"a", "b", "time"}, RequiredCapabilities: []string{"ask", "now"}, BlockedByPolicy: true}},
	} {
		r := newRegistry(t, Options{Time: &TimeOptions{}, Policy: c.policy})
		if got := r.Missing(spec); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %+v", c.policy, got)
		}
	}
	r := newRegistry(t, Options{Time: &TimeOptions{}})
	if got := r.Missing(&gate.ScenarioSpec{Conditions: spec.Conditions[1:2]}); got != nil {
		t.Errorf("nothing is missing: %+v", got)
	}
}

func TestCorrelationIsCheckedFirst(t *testing.T) {
	r := newRegistry(t, Options{Time: &TimeOptions{}})
	ec := gate.EvidenceContext{TriggerTime: gate.Timestamp{Kind: gate.UnixMillis}}
	for id, valid := range map[string]bool{
		"a-1": true, " a ": true, "!#$%&'*+-.^_`|~": true, strings.Repeat("x", 128): true,
		"": false, " ": false, "a b": false, "é": false, "a\r\nX-Evil: 1": false, "a\x00": false, "a(b": false, strings.Repeat("x", 129): false,
	} {
		ec.CorrelationID = (*gate.CorrelationID)(&id)
		_, err := r.Query(t.Context(), gate.EvidenceQuery{ProviderID: "time", CheckID: "now"}, ec)
		if (err == nil) != valid || err != nil && err.Error() != "invalid correlation id" {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestRegister(t *testing.T) {
	r := newRegistry(t, Options{Time: &TimeOptions{}})
	never := stub(nil)
	for _, c := range []struct {
		id     gate.ProviderID
		change func(*Contract)
		want   string
	}{
		{"time", func(*Contract) {}, "duplicate_provider: duplicate provider id: time"},
		{"p", func(c *Contract) { c.ProviderID = "q" }, "contract_invalid: provider capability contract invalid: p: provider id mismatch (expected p, got q)"},
		{"p", func(c *Contract) { c.Checks[0].AllowedComparators = nil }, "contract_invalid: provider capability contract invalid: p: check ask missing allowed_comparators"},
		{"p", func(c *Contract) { slices.Reverse(c.Checks[0].AllowedComparators) }, "contract_invalid: provider capability contract invalid: p: check ask comparators not in canonical order"},
		{"p", func(c *Contract) { c.Checks[0].ParamsSchema = canonical.NewUint(1) }, "schema_compile_failed: schema compilation failed for p.ask: "},
		{"p", func(*Contract) {}, ""},
	} {
		contract := contractOf(c.id)
		c.change(contract)
		err := r.Register(c.id, never, contract)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if _, ok := r.Contract("p"); !ok || len(r.Contracts()) != 2 || r.Contracts()[1].ProviderID != "time" {
		t.Error("contracts are not listed by id")
	}
}

func TestValidateCondition(t *testing.T) {
	r := newRegistry(t, Options{Time: &TimeOptions{}, Env: &EnvOptions{}, HTTP: &HTTPOptions{}})
	for _, c := range []struct{ condition, want string }{
		{`"query":{"provider_id":"json","check_id":"path"},"comparator":"exists"`, "provider_missing: provider not registered: json"},
		{`"query":{"provider_id":"time","check_id":""},"comparator":"exists"`, "check_missing: check not supported: time."},
		{`"query":{"provider_id":"time","check_id":"now","params":{}},"comparator":"equals","expected":5`, ""},
		{`"query":{"provider_id":"time","check_id":"now","params":{"x":1,"y":2}},"comparator":"equals","expected":5`,
			`params_invalid: check params invalid for time.now: time.now: Additional properties are not allowed ('x', 'y' were unexpected)`},
		{`"query":{"provider_id":"time","check_id":"after","params":{"timestamp":1.5}},"comparator":"exists"`,
			`params_invalid: check params invalid for time.after: time.after: 1.5 is not valid under any of the schemas listed in the 'oneOf' keyword at "timestamp"`},
		// 5.0 is an integer to JSON Schema; 2^53+1 must not be rounded on the way.
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"in_set","expected":[5.0,9007199254740993]`, ""},
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"in_set","expected":[1,"x"]`, `expected_invalid: check expected value invalid for time.now: time.now: "x" is not of type "integer"`},
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"in_set","expected":1`, `expected_invalid: check expected value invalid for time.now: expected array required for in_set comparator`},
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"greater_than","expected":1e308`, ""},
		// What is expected is looked at before the comparator.
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"contains","expected":"x"`, `expected_invalid: check expected value invalid for time.now: time.now: "x" is not of type "integer"`},
		{`"query":{"provider_id":"time","check_id":"now"},"comparator":"contains","expected":5`, `comparator_not_allowed: comparator not allowed for time.now: contains`},
		{`"query":{"provider_id":"http","check_id":"body_hash","params":{"url":"x"}},"comparator":"equals","expected":{"algorithm":"sha256","value":"x"}`,
			`comparator_not_allowed: comparator not allowed for http.body_hash: equals`},
		{`"query":{"provider_id":"http","check_id":"body_hash","params":{"url":"x"}},"comparator":"equals","expected":{"algorithm":"md5"}`,
			`expected_invalid: check expected value invalid for http.body_hash: http.body_hash: "value" is a required property; "md5" is not one of the 1 allowed values at "algorithm"`},
		{`"query":{"provider_id":"env","check_id":"get","params":{"key":"A"}},"comparator":"equals","expected":1`,
			`expected_invalid: check expected value invalid for env.get: env.get: 1 is not valid under any of the schemas listed in the 'oneOf' keyword`},
		{`"query":{"provider_id":"env","check_id":"get","params":{"key":"A"}},"comparator":"exists"`, ""},
	} {
		v, err := canonical.Parse([]byte(`{"condition_id":"c","policy_tags":[],` + c.condition + `}`))
		if err != nil {
			t.Fatal(err)
		}
		err = r.ValidateCondition(decode[gate.ConditionSpec](t, v))
		var refusal *CapabilityError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &refusal) || err.Error() != c.want || !strings.HasPrefix(c.want, string(refusal.Code)+": ")) {
			t.Errorf("%s:\n got  %v\n want %s", c.condition, err, c.want)
		}
	}
}

// TestBuiltinContracts: the contracts in the binary are complete, their examples are true to their schemas, and they read
// back as they are.
func TestBuiltinContracts(t *testing.T) {
	contracts, err := builtinContracts()
	if err != nil || len(contracts) != 4 {
		t.Fatal(len(contracts), err)
	}
	for id, contract := range contracts {
		checks, err := contract.compile()
		if err != nil {
			t.Fatal(err)
		}
		if contract.Transport != Builtin || contract.Description == "" || len(contract.Notes) == 0 {
			t.Errorf("%s: incomplete", id)
		}
		for _, check := range checks {
			if check.Description == "" || len(check.Examples) == 0 {
				t.Errorf("%s: incomplete", check.name)
			}
			for _, example := range check.Examples {
				if problems := check.result.Validate(example.Result); problems != nil {
					t.Errorf("%s: %v", check.name, problems)
				}
				if problems := check.params.Validate(example.Params); !example.Params.IsNull() && problems != nil {
					t.Errorf("%s: %v", check.name, problems)
				}
			}
		}
	}
}
