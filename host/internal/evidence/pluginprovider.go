package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
	plugin "github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// DefaultPluginTimeout is the time in which an evidence plugin answers one question, a restart of its process included.
const DefaultPluginTimeout = 5 * time.Second

// PluginContract reads the contract of an evidence plugin and gives it the id by which scenarios ask for it. A provider_id
// or transport in it must be what it would get. The error is a *CapabilityError.
func PluginContract(id gate.ProviderID, raw []byte) (*Contract, error) {
	if len(raw) > plugin.MaxContract {
		return nil, capability(ContractInvalid, "%s: capability contract exceeds size limit", id)
	}
	v, err := canonical.Parse(raw)
	if err == nil && v.Kind() != canonical.Object {
		err = errors.New("it is not an object")
	}
	if err != nil {
		return nil, capability(ContractInvalid, "%s: %s", id, err)
	}
	members := v.Members()
	for name, value := range map[string]string{"provider_id": string(id), "transport": string(External)} {
		if _, has := v.Member(name); !has {
			members = append(members[:len(members):len(members)], canonical.Member{Name: name, Value: canonical.NewString(value)})
		}
	}
	contract := &Contract{}
	if err := canonical.Decode(canonical.NewObject(members), contract); err != nil {
		return nil, capability(ContractInvalid, "%s: %s", id, err)
	}
	return contract, contract.checkExternal(id)
}

// NewPlugin is a Provider that asks an evidence plugin, for at most so long. It takes no answer on trust: what is too
// large, not JSON, or has another hash than it says is an error, and costs its condition.
func NewPlugin(p plugin.Provider, timeout time.Duration) Provider {
	return pluginProvider{p, timeout}
}

type pluginProvider struct {
	plugin  plugin.Provider
	timeout time.Duration
}

// Patience implements Patient.
func (p pluginProvider) Patience() time.Duration { return p.timeout }

var (
	errPluginFailed  = errors.New("the evidence plugin failed")
	errPluginJSON    = errors.New("the evidence plugin answered what is not JSON")
	errPluginSize    = fmt.Errorf("the evidence plugin answered a value of more than %d bytes", gate.MaxEvidence)
	errPluginHash    = errors.New("evidence hash mismatch")
	errPluginContext = errors.New("trigger time has no kind")
)

func (p pluginProvider) Query(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	query := plugin.Query{Provider: string(q.ProviderID), Check: q.CheckID}
	if q.Params != nil {
		// Declared, not canonical: 1 and 1.0 are different parameters.
		query.Params = canonical.AppendValue(nil, *q.Params, canonical.Declared)
	}
	about, err := pluginContext(ec)
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	result, err := p.plugin.Query(ctx, query, about)
	switch {
	case err != nil && ctx.Err() != nil:
		return gate.EvidenceResult{}, errTimeout
	case err != nil:
		return gate.EvidenceResult{}, pluginError(err)
	}
	if err := budget.Reserve(ctx, need(&result)); err != nil {
		return gate.EvidenceResult{}, err
	}
	return fromPlugin(&result)
}

// need is what reading an answer takes.
func need(from *plugin.Result) int64 {
	n := int64(len(from.Bytes)) + budget.JSON().Of(from.JSON)
	if from.Error != nil {
		n += budget.JSON().Of(from.Error.Details)
	}
	return n
}

func pluginContext(ec gate.EvidenceContext) (plugin.Context, error) {
	about := plugin.Context{
		Tenant: uint64(ec.TenantID), Namespace: uint64(ec.NamespaceID), Run: string(ec.RunID), Scenario: string(ec.ScenarioID),
		Stage: string(ec.StageID), Trigger: string(ec.TriggerID),
	}
	switch ec.TriggerTime.Kind {
	case gate.UnixMillis:
		about.Time.UnixMillis = ec.TriggerTime.Millis
	case gate.Logical:
		about.Time = plugin.Time{Logical: true, Tick: ec.TriggerTime.Tick}
	default:
		return about, errPluginContext
	}
	if ec.CorrelationID != nil {
		about.Correlation = string(*ec.CorrelationID)
	}
	return about, nil
}

// pluginError is what is recorded of a plugin's error: the words that were meant for it. Anything else may name files and
// sockets, and stays in the plugin's own log.
func pluginError(err error) error {
	var told *fault.Error
	if !errors.As(err, &told) || told.Message == "" {
		return errPluginFailed
	}
	return errors.New(printable(told.Message))
}

// maxPluginMessage is the length in bytes of the longest message of a plugin that is recorded. It is recorded for every
// condition of every call that asks for it.
const maxPluginMessage = 1024

// printable keeps a plugin from writing control sequences to the terminals of those who read records.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxPluginMessage {
		text = strings.ToValidUTF8(text[:maxPluginMessage], "") + "…"
	}
	return text
}

// fromPlugin checks an answer again, since a Go value in the place of a plugin has passed no wire.
func fromPlugin(from *plugin.Result) (gate.EvidenceResult, error) {
	if err := from.Check(); err != nil {
		return gate.EvidenceResult{}, pluginError(err)
	}
	result := gate.EvidenceResult{Lane: gate.TrustLane(from.Lane)}
	if err := valueFromPlugin(from, &result); err != nil {
		return gate.EvidenceResult{}, err
	}
	if e := from.Error; e != nil {
		result.Error = &gate.EvidenceError{Code: printable(e.Code), Message: printable(e.Message)}
		if e.Details != nil {
			details, err := canonical.Parse(e.Details)
			if err != nil {
				return gate.EvidenceResult{}, errPluginJSON
			}
			result.Error.Details = &details
		}
		if result.Lane == "" {
			result.Lane = gate.Asserted
		}
	}
	if from.Ref != "" {
		result.EvidenceRef = &gate.EvidenceRef{URI: from.Ref}
	}
	if a := from.Anchor; a != nil {
		result.EvidenceAnchor = &gate.EvidenceAnchor{AnchorType: a.Type, AnchorValue: a.Value}
	}
	if s := from.Signature; s != nil {
		result.Signature = &gate.EvidenceSignature{Scheme: s.Scheme, KeyID: s.KeyID, Signature: s.Signature}
	}
	if from.ContentType != "" {
		result.ContentType = &from.ContentType
	}
	return result, nil
}

// valueFromPlugin refuses a value over the limit here, where it costs one condition: in the engine it would end the whole
// call (core contract §5.2). A hash that the plugin gave must be that of the value; whoever signed the one has not signed
// the other.
func valueFromPlugin(from *plugin.Result, result *gate.EvidenceResult) error {
	switch {
	case from.JSON != nil:
		v, err := canonical.Parse(from.JSON)
		if err != nil {
			return errPluginJSON
		}
		result.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
	case from.Bytes != nil:
		result.Value = &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: from.Bytes}
	default:
		return nil
	}
	hash, err := result.Value.Hash()
	if err != nil {
		return errPluginSize
	}
	if from.SHA256 == nil {
		return nil
	}
	if hash != canonical.Digest(*from.SHA256) {
		return errPluginHash
	}
	result.EvidenceHash = &hash
	return nil
}
