// Package evidence asks providers for evidence: the built-in ones (time, env, json, http) and any that a caller registers.
//
// It decides nothing: it answers with what a provider said, or with why it said nothing, and keeps a provider that hangs,
// panics or is asked too often from costing more than its own answer. Before a scenario is accepted it checks that its
// conditions can be asked at all.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/signature"
)

// Provider answers questions. The text of an error is recorded with the run, so it must name no secret and no path of the
// machine. A result may carry an error of its own, with a code. Query may be called by many goroutines.
type Provider interface {
	Query(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error)
}

// Immediate marks a Provider whose Query waits for nothing, neither a file nor a network nor a lock: it is asked without a
// goroutine and a deadline of its own, which cost more than its answer.
type Immediate interface{ Immediate() }

// Patient is a Provider that says how long its Query takes at most, by its own timeouts, when that may be longer than other
// providers are given.
type Patient interface{ Patience() time.Duration }

// maxInFlight bounds the queries of one provider that run at once, those that nobody waits for any more included: a
// provider that hangs without heeding its context holds a goroutine for each, and must not hold ever more of them.
const maxInFlight = 256

var (
	errNotRegistered = errors.New("provider not registered")
	errBlocked       = errors.New("provider blocked by policy")
	errCorrelation   = errors.New("invalid correlation id")
	errTimeout       = errors.New("provider did not answer in time")
	errPanic         = errors.New("provider failed")
)

// Policy says which providers may be asked. Deny wins.
type Policy struct {
	// Allow is the providers that may be asked; nil is all of them, empty none.
	Allow []gate.ProviderID
	Deny  []gate.ProviderID
}

func (p Policy) blocks(id gate.ProviderID) bool {
	return slices.Contains(p.Deny, id) || p.Allow != nil && !slices.Contains(p.Allow, id)
}

// Options say which built-in providers there are: those that are not nil.
type Options struct {
	Time   *TimeOptions
	Env    *EnvOptions
	JSON   *JSONOptions
	HTTP   *HTTPOptions
	Policy Policy
	// Signatures is whose signatures the evidence of a provider must have, for those that differ from DefaultSignatures; nil
	// accepts evidence without one.
	Signatures        map[gate.ProviderID]*signature.Rule
	DefaultSignatures *signature.Rule
	// Memory is how many bytes the evidence of all calls may take at a time, by estimate; 0 is budget.Default.
	Memory int64
}

// Registry holds the providers of a host. It is built once; then it may be used by many goroutines.
type Registry struct {
	providers map[gate.ProviderID]*registered
	policy    Policy
	closers   []func() error
	rules     map[gate.ProviderID]*signature.Rule
	rule      *signature.Rule
	memory    *budget.Budget
}

type registered struct {
	Provider
	memory    *budget.Budget
	immediate bool
	contract  *Contract
	checks    map[string]*compiledCheck
	// rule is whose signatures its evidence must have; nil when it needs none.
	rule *signature.Rule
	// slots holds one token for each query that runs.
	slots chan struct{}
}

// New makes a registry with the built-in providers of the options.
func New(options Options) (*Registry, error) {
	r := &Registry{
		providers: map[gate.ProviderID]*registered{}, policy: options.Policy,
		rules: options.Signatures, rule: options.DefaultSignatures, memory: budget.New(options.Memory),
	}
	if err := r.addBuiltins(options); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Registry) addBuiltins(options Options) error {
	contracts, err := builtinContracts()
	if err != nil {
		return err
	}
	builtins := map[gate.ProviderID]Provider{}
	if options.Time != nil {
		builtins["time"] = timeProvider{*options.Time}
	}
	if options.Env != nil {
		builtins["env"] = newEnvProvider(*options.Env)
	}
	if options.HTTP != nil {
		builtins["http"] = newHTTPProvider(*options.HTTP)
	}
	if options.JSON != nil {
		files, err := newFileProvider(*options.JSON)
		if err != nil {
			return err
		}
		builtins["json"] = files
	}
	for id, provider := range builtins {
		if err := r.Register(id, provider, contracts[id]); err != nil {
			return err
		}
	}
	return nil
}

// Register adds a provider with what it can be asked. It must not be called once the registry is in use. A provider with a
// Close method is closed with the registry, also when it is refused here.
func (r *Registry) Register(id gate.ProviderID, provider Provider, contract *Contract) error {
	if closer, ok := provider.(io.Closer); ok {
		r.closers = append(r.closers, closer.Close)
	}
	if _, exists := r.providers[id]; exists {
		return capability(DuplicateProvider, "%s", id)
	}
	if err := contract.checkID(id); err != nil {
		return err
	}
	checks, err := contract.compile()
	if err != nil {
		return err
	}
	_, immediate := provider.(Immediate)
	rule, ok := r.rules[id]
	if !ok {
		rule = r.rule
	}
	r.providers[id] = &registered{
		Provider: provider, memory: r.memory, immediate: immediate, contract: contract, checks: checks, rule: rule,
		slots: make(chan struct{}, maxInFlight),
	}
	return nil
}

// Hold begins a call whose answers take memory until release is called. Without it they are counted while they are read only.
func (r *Registry) Hold(ctx context.Context) (_ context.Context, release func()) {
	return r.memory.Call(ctx)
}

// Close releases what the providers hold.
func (r *Registry) Close() error {
	var errs []error
	for _, closer := range r.closers {
		errs = append(errs, closer())
	}
	r.closers = nil
	return errors.Join(errs...)
}

// Contracts returns the contracts of the registered providers, by id.
func (r *Registry) Contracts() []*Contract {
	contracts := make([]*Contract, 0, len(r.providers))
	for _, id := range slices.Sorted(maps.Keys(r.providers)) {
		contracts = append(contracts, r.providers[id].contract)
	}
	return contracts
}

// Contract returns the contract of a provider.
func (r *Registry) Contract(id gate.ProviderID) (*Contract, bool) {
	p, ok := r.providers[id]
	if !ok {
		return nil, false
	}
	return p.contract, true
}

// Missing says which providers of a scenario cannot be asked, nil when all can. All conditions are examined, also those
// that no gate refers to (contract §5.6).
func (r *Registry) Missing(spec *gate.ScenarioSpec) *gate.ProviderMissing {
	providers, checks := map[string]bool{}, map[string]bool{}
	missing := &gate.ProviderMissing{}
	for i := range spec.Conditions {
		q := &spec.Conditions[i].Query
		_, registered := r.providers[q.ProviderID]
		blocked := r.policy.blocks(q.ProviderID)
		if registered && !blocked {
			continue
		}
		providers[string(q.ProviderID)] = true
		checks[q.CheckID] = true
		missing.BlockedByPolicy = missing.BlockedByPolicy || registered
	}
	if len(providers) == 0 {
		return nil
	}
	missing.MissingProviders = slices.Sorted(maps.Keys(providers))
	missing.RequiredCapabilities = slices.Sorted(maps.Keys(checks))
	return missing
}

// askTimeout is the time that a question outside of any run may take, as one of a run: more than a provider's own timeouts, which say better what happened,
// and little enough that the client is still there.
const askTimeout = 10 * time.Second

// Ask is Query within the time that a question gets.
func (r *Registry) Ask(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	ctx, cancel := context.WithTimeout(ctx, r.patience(q.ProviderID, askTimeout))
	defer cancel()
	return r.Query(ctx, q, ec)
}

// Query asks one question. It returns when the provider has answered or the context is done, whichever is first; what a
// provider does after that is lost. The text of the error is what gets recorded as a provider error.
func (r *Registry) Query(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	p, err := r.askable(q, ec)
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	if p.immediate {
		answer := p.ask(ctx, q, ec)
		return answer.Result, answer.Err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return gate.EvidenceResult{}, errTimeout
	}
	answered := make(chan gate.Answer, 1)
	go func() {
		defer func() { <-p.slots }()
		answered <- p.ask(ctx, q, ec)
	}()
	select {
	case answer := <-answered:
		return answer.Result, answer.Err
	case <-ctx.Done():
		return gate.EvidenceResult{}, errTimeout
	}
}

// immediate says of a provider that asking it takes no time; one that is not there is refused at once.
func (r *Registry) immediate(id gate.ProviderID) bool {
	p, ok := r.providers[id]
	return !ok || p.immediate
}

// patience is the time that a question to a provider gets: the usual, or what the provider needs to say for itself what went
// wrong.
func (r *Registry) patience(id gate.ProviderID, usual time.Duration) time.Duration {
	if p, ok := r.providers[id]; ok {
		if patient, ok := p.Provider.(Patient); ok {
			return max(usual, patient.Patience())
		}
	}
	return usual
}

func (r *Registry) askable(q gate.EvidenceQuery, ec gate.EvidenceContext) (*registered, error) {
	if ec.CorrelationID != nil && !validCorrelation(string(*ec.CorrelationID)) {
		return nil, errCorrelation
	}
	if r.policy.blocks(q.ProviderID) {
		return nil, fmt.Errorf("%w: %s", errBlocked, q.ProviderID)
	}
	p, ok := r.providers[q.ProviderID]
	if !ok {
		return nil, fmt.Errorf("%w: %s", errNotRegistered, q.ProviderID)
	}
	return p, nil
}

// ask keeps a panic in a provider from ending the process: it costs this answer.
func (p *registered) ask(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (answer gate.Answer) {
	defer func() {
		if recover() != nil {
			answer = gate.Answer{Err: errPanic}
		}
	}()
	ctx, question := p.memory.Question(ctx)
	defer func() {
		if err := question.Settle(held(ctx, question, &answer)); err != nil {
			answer = gate.Answer{Err: err}
		}
	}()
	result, err := p.Provider.Query(ctx, q, ec)
	switch {
	case err == nil:
		err = p.rule.Check(q, ec, &result)
	case errors.Is(err, budget.ErrBusy), errors.Is(err, budget.ErrShare):
		// The reason that an operator can do something about.
	case ctx.Err() != nil:
		err = errTimeout
	}
	if err != nil {
		result = gate.EvidenceResult{}
	}
	return gate.Answer{Result: result, Err: err}
}

// held is what the call goes on to hold of a question: its answer, if it still waits for it.
func held(ctx context.Context, q *budget.Question, answer *gate.Answer) int64 {
	if answer.Err != nil || ctx.Err() != nil || !q.Reserved() {
		return 0
	}
	n := int64(0)
	if v := answer.Result.Value; v != nil {
		n += budget.Held(v.JSON) + int64(len(v.Bytes))
	}
	if e := answer.Result.Error; e != nil && e.Details != nil {
		n += budget.Held(*e.Details)
	}
	return n
}
