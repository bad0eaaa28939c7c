package evidence

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// EnvOptions configure the env provider.
type EnvOptions struct {
	// Allow is the keys that may be read; nil is all of them, empty none.
	Allow []string
	// Deny is keys that may not be read; it wins over Allow.
	Deny []string
	// MaxKeyBytes and MaxValueBytes bound what is read.
	MaxKeyBytes, MaxValueBytes int
	// Values are read instead of the environment of the process when they are not nil.
	Values map[string]string
}

// envProvider reads variables (contract §10.2).
type envProvider struct {
	EnvOptions
	lookup func(key string) (string, bool)
}

func newEnvProvider(options EnvOptions) envProvider {
	p := envProvider{EnvOptions: options, lookup: os.LookupEnv}
	if options.Values != nil {
		values := maps.Clone(options.Values)
		p.lookup = func(key string) (string, bool) {
			v, ok := values[key]
			return v, ok
		}
	}
	return p
}

var envParams = newParamsErrors("env", "missing env key", "env key must be a string")

var (
	errEnvCheck = errors.New("unsupported env check")
	errEnvKey   = errors.New("env key exceeds limit")
	errEnvBlock = errors.New("env key blocked by policy")
	errEnvValue = errors.New("env value exceeds limit")
)

// Immediate implements Immediate.
func (envProvider) Immediate() {}

func (p envProvider) Query(_ context.Context, q gate.EvidenceQuery, _ gate.EvidenceContext) (gate.EvidenceResult, error) {
	if q.CheckID != "get" {
		return gate.EvidenceResult{}, errEnvCheck
	}
	key, err := envParams.text(q, "key")
	switch {
	case err != nil:
		return gate.EvidenceResult{}, err
	case len(key) > p.MaxKeyBytes:
		return gate.EvidenceResult{}, errEnvKey
	case slices.Contains(p.Deny, key), p.Allow != nil && !slices.Contains(p.Allow, key):
		return gate.EvidenceResult{}, errEnvBlock
	}
	anchor := gate.EvidenceAnchor{AnchorType: "env", AnchorValue: key}
	value, ok := p.lookup(key)
	switch {
	case !ok || !utf8.ValidString(value):
		return gate.EvidenceResult{Lane: gate.Verified, EvidenceAnchor: &anchor}, nil
	case len(value) > p.MaxValueBytes:
		return gate.EvidenceResult{}, errEnvValue
	}
	return verified(canonical.NewString(value), anchor, "text/plain"), nil
}
