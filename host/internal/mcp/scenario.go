package mcp

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

type defineArguments struct {
	Spec gate.ScenarioSpec `member:"spec"`
}

type defineResult struct {
	ScenarioID gate.ScenarioID      `member:"scenario_id"`
	SpecHash   canonical.HashDigest `member:"spec_hash"`
}

// scenarioDefine is mcp contract §4.5; the order of the checks is the contract's.
func (s *Server) scenarioDefine(ctx context.Context, _ caller, a defineArguments) (defineResult, error) {
	if s.Registry.Defined(ctx, &a.Spec) {
		return defineResult{}, registry.ErrScenarioExists
	}
	if err := s.allowConditions(&a.Spec); err != nil {
		return defineResult{}, err
	}
	if err := s.allowComparators(&a.Spec); err != nil {
		return defineResult{}, err
	}
	scenario, err := gate.Compile(a.Spec)
	if err != nil {
		return defineResult{}, err
	}
	if err := s.Registry.Define(ctx, scenario); err != nil {
		return defineResult{}, err
	}
	return defineResult{a.Spec.ScenarioID, scenario.Hash()}, nil
}

type startArguments struct {
	ScenarioID        gate.ScenarioID `member:"scenario_id"`
	RunConfig         gate.RunConfig  `member:"run_config"`
	StartedAt         gate.Timestamp  `member:"started_at"`
	IssueEntryPackets bool            `member:"issue_entry_packets"`
}

func (s *Server) scenarioStart(ctx context.Context, _ caller, a startArguments) (gate.RunState, error) {
	return s.Runs.Start(ctx, a.ScenarioID, a.RunConfig, a.StartedAt, a.IssueEntryPackets)
}

type statusArguments struct {
	ScenarioID gate.ScenarioID    `member:"scenario_id"`
	Request    gate.StatusRequest `member:"request"`
}

func (s *Server) scenarioStatus(ctx context.Context, _ caller, a statusArguments) (gate.ScenarioStatus, error) {
	return s.Runs.Status(ctx, a.ScenarioID, a.Request)
}

type nextArguments struct {
	ScenarioID gate.ScenarioID  `member:"scenario_id"`
	Request    gate.NextRequest `member:"request"`
	Feedback   *access.Level    `member:"feedback" presence:"O"`
}

type nextResult struct {
	Decision gate.DecisionRecord `member:"decision"`
	Packets  []gate.PacketRecord `member:"packets"`
	Status   gate.RunStatus      `member:"status"`
	Feedback *feedback           `member:"feedback" presence:"OS"`
}

func (s *Server) scenarioNext(ctx context.Context, who caller, a nextArguments) (nextResult, error) {
	d, err := s.Runs.Trigger(ctx, a.ScenarioID, a.Request.Call())
	if err != nil {
		return nextResult{}, err
	}
	told, err := s.newFeedback(ctx, who, &a, d.Evaluations)
	return nextResult{d.Decision, d.Packets, d.Status, told}, err
}

type triggerArguments struct {
	ScenarioID gate.ScenarioID   `member:"scenario_id"`
	Trigger    gate.TriggerEvent `member:"trigger"`
}

func (s *Server) scenarioTrigger(ctx context.Context, _ caller, a triggerArguments) (gate.TriggerResult, error) {
	d, err := s.Runs.Trigger(ctx, a.ScenarioID, a.Trigger.Call())
	return d.TriggerResult, err
}

type submitArguments struct {
	ScenarioID gate.ScenarioID    `member:"scenario_id"`
	Request    gate.SubmitRequest `member:"request"`
}

func (s *Server) scenarioSubmit(ctx context.Context, _ caller, a submitArguments) (gate.SubmitResult, error) {
	return s.Runs.Submit(ctx, a.ScenarioID, a.Request)
}

type scenariosPage struct {
	Items     []registry.ScenarioSummary `member:"items"`
	NextToken *string                    `member:"next_token" presence:"O"`
}

// scenariosList is mcp contract §4.18. The token of a page is there as long as the page is not empty.
func (s *Server) scenariosList(ctx context.Context, _ caller, a listArguments) (scenariosPage, error) {
	limit, err := a.limit()
	if err != nil {
		return scenariosPage{}, err
	}
	items, err := s.Registry.Scenarios(ctx, a.TenantID, a.NamespaceID, (*gate.ScenarioID)(a.Cursor), limit)
	if err != nil {
		return scenariosPage{}, err
	}
	page := scenariosPage{Items: items}
	if len(items) > 0 {
		page.NextToken = (*string)(&items[len(items)-1].ScenarioID)
	}
	return page, nil
}
