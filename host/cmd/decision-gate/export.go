package main

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

type exportCommand struct {
	runFlags
	OutputDir string `short:"o" placeholder:"DIR" help:"Folder on the host's machine, inside one that its configuration allows; the host's storage for runpacks when not given."`
	Manifest  string `placeholder:"NAME" help:"Name of the manifest; manifest.json when not given."`
	Verify    bool   `default:"true" negatable:"" help:"Have the host verify what it wrote, and add the report."`
	Time      moment `placeholder:"TIME" help:"${moment}"`
	clientFlags
}

func (c *exportCommand) Help() string {
	return help("Has a host write the record of a run. The answer is no (1) when the record does not verify. "+clientHelp,
		"decision-gate runpack export deploy run-42 --namespace 2")
}

type exportRequest struct {
	ScenarioID          gate.ScenarioID  `member:"scenario_id"`
	TenantID            gate.TenantID    `member:"tenant_id"`
	NamespaceID         gate.NamespaceID `member:"namespace_id"`
	RunID               gate.RunID       `member:"run_id"`
	OutputDir           *string          `member:"output_dir" presence:"OS"`
	ManifestName        *string          `member:"manifest_name" presence:"OS"`
	GeneratedAt         gate.Timestamp   `member:"generated_at"`
	IncludeVerification bool             `member:"include_verification"`
}

// exported is what is shown of a runpack. The report has members that the open-source server does not give.
type exported struct {
	Manifest runpack.Manifest `member:"manifest"`
	Report   *struct {
		Status runpack.Status `member:"status"`
		Errors []string       `member:"errors"`
	} `member:"report" presence:"O"`
	StorageURI *string `member:"storage_uri" presence:"O"`
}

func (c *exportCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	request := exportRequest{
		c.scenario(), c.tenant(), c.namespace(), c.run(), given[string](c.OutputDir), given[string](c.Manifest), c.Time.stamp(), c.Verify,
	}
	return c.with(ctx, std, command, func(s *session) error {
		var e exported
		result, err := s.call("runpack_export", request, &e, client.Once)
		if err != nil {
			return err
		}
		if err := s.tell(result, func(out *screen) { c.show(out, &e) }); err != nil {
			return err
		}
		if e.Report != nil && e.Report.Status != runpack.Pass {
			return no()
		}
		return nil
	})
}

func (c *exportCommand) show(out *screen, e *exported) {
	where := c.OutputDir
	if e.StorageURI != nil {
		where = *e.StorageURI
	}
	out.marked(green, "exported", "  run %s to %s", e.Manifest.RunID, where)
	out.line("  %s, root hash %s", plural(len(e.Manifest.Artifacts), "file"), hashText(e.Manifest.Integrity.RootHash))
	if e.Report == nil {
		out.line("  not verified: \"decision-gate runpack verify\" does that")
		return
	}
	if e.Report.Status == runpack.Pass {
		out.line("  verified by the host that wrote it; \"decision-gate runpack verify\" does it without the host")
		return
	}
	out.marked(red, "  does not verify", "")
	for i, text := range e.Report.Errors {
		if i == maxList {
			out.line("  and %d more", len(e.Report.Errors)-i)
			return
		}
		out.line("  - %s", text)
	}
}
