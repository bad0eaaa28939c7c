package main

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

type schemasListCommand struct {
	pageFlags
	tenancyFlags
	clientFlags
}

func (c *schemasListCommand) Help() string {
	return help("Lists the data shapes of a namespace. "+clientHelp, "decision-gate schemas list --namespace 2")
}

type schemasPage struct {
	Items     []registry.DataShape `member:"items"`
	NextToken *string              `member:"next_token" presence:"O"`
}

func (c *schemasListCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	return c.with(ctx, std, command, func(s *session) error {
		var page schemasPage
		result, err := s.call("schemas_list", c.request(&c.tenancyFlags), &page, client.Idempotent)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			for i := range page.Items {
				tellShape(out, &page.Items[i])
			}
			if len(page.Items) == 0 {
				out.line("There are no data shapes.")
			}
			c.more(out, len(page.Items), page.NextToken)
		})
	})
}

func tellShape(out *screen, s *registry.DataShape) {
	description, signed := "", ""
	if s.Description != nil {
		description = "  " + clip(*s.Description, maxText)
	}
	if s.Signing != nil {
		signed = ", signed with " + s.Signing.KeyID
	}
	out.line("%s@%s  registered %s%s%s", s.SchemaID, s.Version, when(s.CreatedAt), signed, description)
}

type schemasGetCommand struct {
	Shape shape `arg:"" placeholder:"ID@VERSION" help:"The data shape."`
	tenancyFlags
	clientFlags
}

func (c *schemasGetCommand) Help() string {
	return help("Shows a data shape. "+clientHelp, "decision-gate schemas get ticket@1 --namespace 2")
}

type schemaRequest struct {
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	SchemaID    string           `member:"schema_id"`
	Version     string           `member:"version"`
}

// shapeRecord is the argument and the result of registration.
type shapeRecord struct {
	Record registry.DataShape `member:"record"`
}

func (c *schemasGetCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	return c.with(ctx, std, command, func(s *session) error {
		var found shapeRecord
		result, err := s.call("schemas_get", schemaRequest{c.tenant(), c.namespace(), c.Shape.SchemaID, c.Shape.Version}, &found, client.Idempotent)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			tellShape(out, &found.Record)
			out.line("%s", jsonText(found.Record.Schema))
		})
	})
}

type schemasRegisterCommand struct {
	Shape       shape  `arg:"" placeholder:"ID@VERSION" help:"The name of the data shape, one that the namespace does not have."`
	File        string `arg:"" placeholder:"FILE" help:"The JSON Schema (draft 2020-12); - is standard input."`
	Description string `placeholder:"TEXT" help:"What it is for."`
	Signing     string `placeholder:"FILE" help:"Its signature as JSON: key_id, signature, algorithm."`
	Time        moment `placeholder:"TIME" help:"${moment}"`
	tenancyFlags
	clientFlags
}

func (c *schemasRegisterCommand) Help() string {
	return help("Registers a data shape, which precheck needs. It cannot be changed later: register another version. "+clientHelp,
		"decision-gate schemas register ticket@1 ticket.schema.json --namespace 2")
}

type shapeArguments struct {
	Record struct {
		TenantID    gate.TenantID    `member:"tenant_id"`
		NamespaceID gate.NamespaceID `member:"namespace_id"`
		SchemaID    string           `member:"schema_id"`
		Version     string           `member:"version"`
		Schema      canonical.Value  `member:"schema"`
		Description *string          `member:"description" presence:"O"`
		CreatedAt   gate.Timestamp   `member:"created_at"`
		Signing     *canonical.Value `member:"signing" presence:"OS"`
	} `member:"record"`
}

func (c *schemasRegisterCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	var a shapeArguments
	r := &a.Record
	r.TenantID, r.NamespaceID, r.SchemaID, r.Version = c.tenant(), c.namespace(), c.Shape.SchemaID, c.Shape.Version
	r.Description, r.CreatedAt = given[string](c.Description), c.Time.stamp()
	var err error
	if r.Schema, _, err = readJSON(c.File, std); err != nil {
		return err
	}
	if c.Signing != "" {
		signing, _, err := readJSON(c.Signing, std)
		if err != nil {
			return err
		}
		r.Signing = &signing
	}
	return c.with(ctx, std, command, func(s *session) error {
		var registered shapeRecord
		result, err := s.call("schemas_register", a, &registered, client.Once)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			out.marked(green, "registered", "  %s@%s", registered.Record.SchemaID, registered.Record.Version)
		})
	})
}
