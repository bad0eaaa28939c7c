package evidence

import (
	"context"
	"encoding/json"
	"sync"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// RegisterServer serves a provider over the protocol. The provider sees only checks that its contract has, with parameters
// that are JSON and there when the contract wants them; whether they fit the check is its own to say. Its panics become
// INTERNAL, and a result that no host would take becomes an error here, where its author sees it.
func RegisterServer(r grpc.ServiceRegistrar, p Provider) {
	pb.RegisterEvidenceServer(r, &server{provider: p})
}

type server struct {
	pb.UnimplementedEvidenceServer
	provider Provider

	mu sync.Mutex
	// checks are the contract's, with whether they need parameters; nil until it was asked for.
	checks map[string]bool
}

func (s *server) Contract(ctx context.Context, _ *pb.ContractRequest) (*pb.ContractResponse, error) {
	contract, err := s.contract(ctx)
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	return &pb.ContractResponse{ContractJson: contract}, nil
}

func (s *server) contract(ctx context.Context) (contract json.RawMessage, err error) {
	defer fault.Recover(&err)
	if contract, err = s.provider.Contract(ctx); err != nil {
		return nil, err
	}
	checks, err := checksOf(contract)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = checks
	return contract, nil
}

func (s *server) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	result, err := s.query(ctx, req)
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	return resultToWire(&result), nil
}

func (s *server) query(ctx context.Context, req *pb.QueryRequest) (result Result, err error) {
	defer fault.Recover(&err)
	q, c := queryFromWire(req)
	if err := s.check(ctx, q); err != nil {
		return Result{}, err
	}
	if result, err = s.provider.Query(ctx, q, c); err != nil {
		return Result{}, err
	}
	return result, result.Check()
}

// check refuses what the contract does not offer. The texts are those of the host (mcp contract §4.6).
func (s *server) check(ctx context.Context, q Query) error {
	s.mu.Lock()
	checks := s.checks
	s.mu.Unlock()
	if checks == nil {
		if _, err := s.contract(ctx); err != nil {
			return err
		}
		return s.check(ctx, q)
	}
	needsParams, known := checks[q.Check]
	switch {
	case !known:
		return fault.New(fault.Invalid, "check not supported: %.100s.%.100s", q.Provider, q.Check)
	case q.Params != nil && !json.Valid(q.Params):
		return fault.New(fault.Invalid, "the params of %.100s.%.100s are not JSON", q.Provider, q.Check)
	case needsParams && (q.Params == nil || string(q.Params) == "null"):
		return fault.New(fault.Invalid, "check params required for %.100s.%.100s", q.Provider, q.Check)
	}
	return nil
}

// checksOf are the checks of a contract, with whether they need parameters. The host reads the rest.
func checksOf(contract json.RawMessage) (map[string]bool, error) {
	if len(contract) > MaxContract {
		return nil, wrong("a contract of %d bytes, more than %d", len(contract), MaxContract)
	}
	var read struct {
		Name, Description *string
		ConfigSchema      json.RawMessage `json:"config_schema"`
		Checks            []struct {
			ID             string `json:"check_id"`
			ParamsRequired bool   `json:"params_required"`
		}
		Notes []string
	}
	if err := json.Unmarshal(contract, &read); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the contract of the evidence plugin is not JSON, or not of its form")
	}
	if read.Name == nil || read.Description == nil || read.ConfigSchema == nil || read.Checks == nil || read.Notes == nil {
		return nil, fault.New(fault.Internal, "the contract of the evidence plugin lacks a member: it needs name, description, config_schema, checks and notes")
	}
	checks := make(map[string]bool, len(read.Checks))
	for _, check := range read.Checks {
		checks[check.ID] = check.ParamsRequired
	}
	return checks, nil
}
