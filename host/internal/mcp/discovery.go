package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
)

// DiscoveryRule says which providers clients may learn about, and how much (mcp contract §4.16, §9.6). It does not say which
// may be asked.
type DiscoveryRule struct {
	// Allow is nil where all are shown. Deny wins.
	Allow, Deny []string
	// MaxBytes is the size of the largest contract that is answered.
	MaxBytes int64
}

func (r *DiscoveryRule) shows(id gate.ProviderID) bool {
	return (r.Allow == nil || slices.Contains(r.Allow, string(id))) && !slices.Contains(r.Deny, string(id))
}

type shownProvider struct {
	ProviderID gate.ProviderID    `member:"provider_id"`
	Transport  evidence.Transport `member:"transport"`
	Checks     []string           `member:"checks"`
}

type shownProviders struct {
	Providers []shownProvider `member:"providers"`
}

// providersList lists what may be shown, by id. A provider that is hidden is not named here either: the lists would hide
// nothing from a client that asks for all.
func (s *Server) providersList(context.Context, caller, struct{}) (shownProviders, error) {
	list := shownProviders{Providers: []shownProvider{}}
	for _, contract := range s.Evidence.Contracts() {
		if !s.Discovery.shows(contract.ProviderID) {
			continue
		}
		shown := shownProvider{ProviderID: contract.ProviderID, Transport: contract.Transport}
		for i := range contract.Checks {
			shown.Checks = append(shown.Checks, contract.Checks[i].CheckID)
		}
		slices.Sort(shown.Checks)
		list.Providers = append(list.Providers, shown)
	}
	return list, nil
}

type contractArguments struct {
	ProviderID gate.ProviderID `member:"provider_id"`
}

type contractResult struct {
	ProviderID   gate.ProviderID      `member:"provider_id"`
	Contract     evidence.Contract    `member:"contract"`
	ContractHash canonical.HashDigest `member:"contract_hash"`
	Source       string               `member:"source"`
	Version      *string              `member:"version" presence:"O"`
}

func (s *Server) providerContractGet(_ context.Context, _ caller, a contractArguments) (contractResult, error) {
	contract, err := s.shownContract(a.ProviderID, nil)
	if err != nil {
		return contractResult{}, err
	}
	result := contractResult{ProviderID: a.ProviderID, Contract: *contract, ContractHash: contract.Hash(), Source: sources[contract.Transport]}
	return result, s.Discovery.fits(result)
}

// sources say where the contract of a provider is from.
var sources = map[evidence.Transport]string{evidence.Builtin: "builtin", evidence.External: "file"}

type checkArguments struct {
	ProviderID gate.ProviderID `member:"provider_id"`
	CheckID    string          `member:"check_id"`
}

type checkResult struct {
	ProviderID         gate.ProviderID      `member:"provider_id"`
	CheckID            string               `member:"check_id"`
	ParamsRequired     bool                 `member:"params_required"`
	ParamsSchema       canonical.Value      `member:"params_schema"`
	ResultSchema       canonical.Value      `member:"result_schema"`
	AllowedComparators []gate.Comparator    `member:"allowed_comparators"`
	Determinism        evidence.Determinism `member:"determinism"`
	AnchorTypes        []string             `member:"anchor_types"`
	ContentTypes       []string             `member:"content_types"`
	Examples           []evidence.Example   `member:"examples"`
	ContractHash       canonical.HashDigest `member:"contract_hash"`
}

func (s *Server) providerCheckSchemaGet(_ context.Context, _ caller, a checkArguments) (checkResult, error) {
	contract, err := s.shownContract(a.ProviderID, &a.CheckID)
	if err != nil {
		return checkResult{}, err
	}
	check, err := s.Evidence.DescribeCheck(a.ProviderID, a.CheckID)
	if err != nil {
		return checkResult{}, err
	}
	result := checkResult{
		ProviderID: a.ProviderID, CheckID: a.CheckID, ParamsRequired: check.ParamsRequired, ParamsSchema: check.ParamsSchema,
		ResultSchema: check.ResultSchema, AllowedComparators: check.AllowedComparators, Determinism: check.Determinism,
		AnchorTypes: check.AnchorTypes, ContentTypes: check.ContentTypes, Examples: check.Examples, ContractHash: contract.Hash(),
	}
	return result, s.Discovery.fits(result)
}

// shownContract finds a contract. A provider that is hidden and one that is not there are refused alike as long as there is a
// list of those that are shown; the order of the checks is the contract's.
func (s *Server) shownContract(id gate.ProviderID, check *string) (*evidence.Contract, error) {
	switch {
	case strings.TrimSpace(string(id)) == "":
		return nil, refuse(InvalidParams, "provider_id must be non-empty")
	case check != nil && strings.TrimSpace(*check) == "":
		return nil, refuse(InvalidParams, "check_id must be non-empty")
	case !s.Discovery.shows(id):
		return nil, refuse(Unauthorized, "unauthorized")
	}
	return s.Evidence.Describe(id)
}

// fits refuses an answer that is too large.
func (r *DiscoveryRule) fits(result any) error {
	if size := len(canonical.Append(nil, result, canonical.Declared)); int64(size) > r.MaxBytes {
		return &Error{Code: TooLarge, Message: fmt.Sprintf("provider discovery response exceeds size limit (%d > %d)", size, r.MaxBytes), answer: true}
	}
	return nil
}
