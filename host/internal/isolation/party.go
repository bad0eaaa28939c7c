package isolation

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// object is a JSON object.
type object = map[string]any

// Namespaces of a tenant: in work everything happens; in quiet nothing changes once it is furnished, so that two answers about it
// can be compared.
const (
	work  = 2
	quiet = 3
)

// run is one that goes on.
type run struct {
	scenario, id string
	calls        int
	triggers     []string
}

// party is a tenant: who it is, what it has and what it must not let out.
type party struct {
	tenant uint64
	token  string
	canary string
	folder string // for runpacks
	watch  watch  // of what the other one must not see

	mu      sync.Mutex
	next    uint64
	runs    []*run
	bundles []string
	dirs    []string
	// only are ids that this tenant has and the other one has not: of everything in the quiet namespace.
	only    string
	onlyURI string
	onlyDir string
}

// operatorToken is of a caller that is held to no tenant.
var operatorToken = rand.Text()

func principalName(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "token:" + hex.EncodeToString(sum[:])
}

// newParty makes the first or second tenant. Its number and secrets are new each time: records of an earlier trial may still be
// in the store.
func newParty(number int) *party {
	var tenant [8]byte
	_, _ = rand.Read(tenant[:]) // never fails
	p := &party{
		// With the highest bit in the second, which a store without unsigned numbers keeps as a negative one.
		tenant: binary.BigEndian.Uint64(tenant[:])>>1 | uint64(number)<<63,
		token:  rand.Text(), canary: "canary" + rand.Text() + rand.Text(), only: "only-" + strings.ToLower(rand.Text()),
	}
	p.watch.add(p.canary)
	return p
}

// time before the condition of every scenario is met, and after it.
const (
	early = 1_700_000_000_000
	met   = 1_800_000_000_000
	late  = 1_900_000_000_000
)

func moment(at int64) object { return object{"kind": "unix_millis", "value": at} }

// spec is a scenario of the party: everything in it that may hold a text holds the canary.
func (p *party) spec(id string, namespace uint64) object {
	return object{
		"scenario_id": id, "namespace_id": namespace, "spec_version": p.canary, "default_tenant_id": p.tenant, "policies": []any{}, "schemas": []any{},
		"stages": []any{object{
			"stage_id": "a", "advance_to": object{"kind": "terminal"}, "on_timeout": "fail",
			"entry_packets": []any{object{
				"packet_id": id, "schema_id": p.canary, "content_type": "application/json", "visibility_labels": []any{p.canary}, "policy_tags": []any{p.canary},
				"expiry": nil, "payload": object{"kind": "json", "value": object{"secret": p.canary}},
			}},
			"gates": []any{object{"gate_id": p.canary, "requirement": object{"Condition": "past"}}},
		}},
		"conditions": []any{object{
			"condition_id": "past", "query": object{"provider_id": "time", "check_id": "after", "params": object{"timestamp": met}},
			"comparator": "equals", "expected": true, "policy_tags": []any{p.canary},
		}},
	}
}

// shape is a data shape of the party.
func (p *party) shape(id, version string, namespace uint64) object {
	return object{"record": object{
		"tenant_id": p.tenant, "namespace_id": namespace, "schema_id": id, "version": version, "description": p.canary, "created_at": moment(early),
		"schema": object{"type": "object", "properties": object{"past": object{"type": "boolean"}, "word": object{"enum": []any{p.canary}}}},
	}}
}

// refusedOwn is the finding of a refusal that another tenant must have caused.
const refusedOwn = "a tenant is refused what it may do and nobody of it has done"

// refusedError is that a tenant could not be furnished.
type refusedError struct{ Finding }

func (e *refusedError) Error() string { return fmt.Sprintf("%s: %.500s", e.Tool, e.Response) }

// furnish gives a tenant what it has from the beginning.
func (t *trial) furnish(ctx context.Context, p *party) error {
	must := func(tool string, arguments any) (*answer, error) {
		made := &call{surface: rpcSurface, token: p.token, method: "tools/call", tool: tool, arguments: arguments}
		a, err := t.door.send(ctx, made)
		if err == nil && a.kind != "" {
			err = &refusedError{Finding{What: refusedOwn, Tool: tool, Surface: made.surface, Aim: aimNames[own], Request: string(made.body()), Response: clip(a.body)}}
		}
		if err == nil {
			t.count.add(tool, rpcSurface, own, a)
		}
		return a, err
	}
	for _, id := range likely {
		defined, err := must("scenario_define", object{"spec": p.spec(id, work)})
		if err != nil {
			return err
		}
		p.watchHash(defined)
		if _, err := must("schemas_register", p.shape(id, "1", work)); err != nil {
			return err
		}
	}
	// The ids of the last are secret themselves.
	for _, id := range []string{p.only, p.canary} {
		if _, err := must("scenario_define", object{"spec": p.spec(id, quiet)}); err != nil {
			return err
		}
		if _, err := must("schemas_register", p.shape(id, "1", quiet)); err != nil {
			return err
		}
		r := &run{scenario: id, id: id}
		where := target{tenant: p.tenant, namespace: quiet, scenario: id, run: r, id: id}
		if _, err := must("scenario_start", where.start(true)); err != nil {
			return err
		}
		if _, err := must("scenario_next", where.next(p.canary, early)); err != nil {
			return err
		}
		if _, err := must("scenario_submit", where.submit(p.canary)); err != nil {
			return err
		}
	}
	where := target{tenant: p.tenant, namespace: quiet, scenario: p.only, run: &run{id: p.only}}
	p.onlyDir = p.folder + "/" + p.only
	if _, err := must("runpack_export", where.export(p.onlyDir)); err != nil {
		return err
	}
	exported, err := must("runpack_export", where.export(""))
	if err != nil {
		return err
	}
	p.onlyURI = uriOf(exported)
	return t.furnishShared(ctx)
}

// watchHash watches for the hash of a scenario: it is over the canary.
func (p *party) watchHash(defined *answer) {
	var result struct {
		SpecHash struct{ Value string } `json:"spec_hash"`
	}
	if json.Unmarshal(defined.result, &result) == nil && result.SpecHash.Value != "" {
		p.watch.addHash(result.SpecHash.Value)
	}
}

// sharedScenario is one that the operator has defined for all tenants; nothing in it is anybody's.
const sharedScenario = "for all tenants"

func (t *trial) furnishShared(ctx context.Context) error {
	nobody := &party{canary: "shared"}
	spec := nobody.spec(sharedScenario, work)
	spec["default_tenant_id"] = nil
	a, err := t.door.send(ctx, &call{surface: rpcSurface, token: operatorToken, method: "tools/call", tool: "scenario_define", arguments: object{"spec": spec}})
	if err == nil && a.kind != "" && a.kind != "conflict" {
		err = fmt.Errorf("the shared scenario is refused: %.300s", a.body)
	}
	return err
}

func uriOf(exported *answer) string {
	var result struct {
		StorageURI string `json:"storage_uri"`
	}
	_ = json.Unmarshal(exported.result, &result) // an answer without one has no URI
	return result.StorageURI
}

// fresh is a number that the party has not used. Both tenants count alike, so that they use the same.
func (p *party) fresh() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	return p.next
}

// Bounds of what a party keeps to go on with, so that neither runs nor memory grow with the trial.
const (
	keptRuns     = 24
	keptBundles  = 24
	callsOfARun  = 40
	keptTriggers = 4
)

func (p *party) addRun(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs = append(p.runs, r)
	if len(p.runs) > keptRuns {
		p.runs = slices.Delete(p.runs, 0, 1)
	}
}

// pickRun is a run that goes on; nil when there is none.
func (p *party) pickRun(n int) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.runs) == 0 {
		return nil
	}
	i := n % len(p.runs)
	r := p.runs[i]
	if r.calls++; r.calls > callsOfARun {
		p.runs = slices.Delete(p.runs, i, i+1)
	}
	return &run{scenario: r.scenario, id: r.id, triggers: slices.Clone(r.triggers)}
}

func (p *party) addTrigger(of *run, trigger string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.runs {
		if r.id == of.id && r.scenario == of.scenario && len(r.triggers) < keptTriggers {
			r.triggers = append(r.triggers, trigger)
		}
	}
}

// keep adds to one of the lists of runpacks.
func (p *party) keep(list *[]string, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *list = append(*list, what); len(*list) > keptBundles {
		*list = slices.Delete(*list, 0, 1)
	}
}

// pick is one of a list; empty when there is none.
func (p *party) pick(list *[]string, n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*list) == 0 {
		return ""
	}
	return (*list)[n%len(*list)]
}
