package evidence

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// NewOffline makes a registry that knows what every built-in provider can be asked, and asks none: for those who check
// scenarios without a host.
func NewOffline() (*Registry, error) {
	contracts, err := builtinContracts()
	if err != nil {
		return nil, err
	}
	r := &Registry{providers: map[gate.ProviderID]*registered{}}
	for id, contract := range contracts {
		if err := r.Register(id, silent{}, contract); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// silent is a provider that has no answers.
type silent struct{}

func (silent) Query(context.Context, gate.EvidenceQuery, gate.EvidenceContext) (gate.EvidenceResult, error) {
	return gate.EvidenceResult{}, errNotRegistered
}
