package main

import (
	"context"
	"errors"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

type startCommand struct {
	Scenario     string   `arg:"" placeholder:"SCENARIO" help:"The scenario."`
	RunID        string   `arg:"" name:"run" optional:"" placeholder:"RUN" help:"Id of the new run, one that the namespace does not have; made up when it is not given."`
	EntryPackets bool     `default:"true" negatable:"" help:"Issue the packets of the first stage; without it they never are."`
	Target       []target `placeholder:"KIND:ID" help:"Whom packets are for: agent:ID, session:ID, channel:ID or external:SYSTEM:ID. May be repeated."`
	Time         moment   `placeholder:"TIME" help:"${moment}"`
	tenancyFlags
	clientFlags
}

func (c *startCommand) Help() string {
	return help("Starts a run of a scenario. It prints the run's id, which all later commands name. "+clientHelp,
		"decision-gate start deploy run-42 --namespace 2")
}

// target is a receiver of packets.
type target gate.DispatchTarget

// UnmarshalText reads KIND:ID.
func (t *target) UnmarshalText(text []byte) error {
	kind, id, _ := strings.Cut(string(text), ":")
	*t = target{Kind: gate.TargetKind(kind)}
	switch kind {
	case "agent":
		t.AgentID = id
	case "session":
		t.SessionID = id
	case "channel":
		t.Channel = id
	case "external":
		t.System, t.Target, _ = strings.Cut(id, ":")
		id = t.Target
	default:
		id = ""
	}
	if id == "" {
		return errors.New("not agent:ID, session:ID, channel:ID or external:SYSTEM:ID")
	}
	return nil
}

type startRequest struct {
	ScenarioID        gate.ScenarioID `member:"scenario_id"`
	RunConfig         gate.RunConfig  `member:"run_config"`
	StartedAt         gate.Timestamp  `member:"started_at"`
	IssueEntryPackets bool            `member:"issue_entry_packets"`
}

// started is what is shown of a new run.
type started struct {
	RunID          gate.RunID      `member:"run_id"`
	ScenarioID     gate.ScenarioID `member:"scenario_id"`
	CurrentStageID gate.StageID    `member:"current_stage_id"`
	Packets        []issued        `member:"packets"`
}

func (c *startCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	if c.RunID == "" {
		c.RunID = newID("run")
	}
	request := startRequest{
		ScenarioID: gate.ScenarioID(c.Scenario), StartedAt: c.Time.stamp(), IssueEntryPackets: c.EntryPackets,
		RunConfig: gate.RunConfig{
			TenantID: c.tenant(), NamespaceID: c.namespace(), RunID: gate.RunID(c.RunID), ScenarioID: gate.ScenarioID(c.Scenario),
			DispatchTargets: []gate.DispatchTarget{}, PolicyTags: []string{},
		},
	}
	for _, t := range c.Target {
		request.RunConfig.DispatchTargets = append(request.RunConfig.DispatchTargets, gate.DispatchTarget(t))
	}
	return c.with(ctx, std, command, func(s *session) error {
		var run started
		result, err := s.call("scenario_start", request, &run, client.Once)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			out.marked(green, "started", "  run %s of scenario %s, at stage %s", run.RunID, run.ScenarioID, run.CurrentStageID)
			tellPackets(out, run.Packets)
		})
	})
}

// issued is what is shown of a packet.
type issued struct {
	Envelope struct {
		PacketID    gate.PacketID `member:"packet_id"`
		ContentType string        `member:"content_type"`
	} `member:"envelope"`
}

func tellPackets(out *screen, packets []issued) {
	for i, p := range packets {
		if i == maxList {
			out.line("  and %s more", plural(len(packets)-i, "packet"))
			return
		}
		out.line("  packet %s (%s)", p.Envelope.PacketID, p.Envelope.ContentType)
	}
}
