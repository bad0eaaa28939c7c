package main

import (
	"context"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

// pageFlags say which part of a list is shown.
type pageFlags struct {
	Limit  uint64 `default:"100" placeholder:"N" help:"How many are listed, 1 to 1000 (${default})."`
	Cursor string `placeholder:"TOKEN" help:"Go on after the list that named this token."`
}

// pageRequest is mcp contract §4.17.
type pageRequest struct {
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	Cursor      *string          `member:"cursor" presence:"OS"`
	Limit       uint64           `member:"limit"`
}

func (f *pageFlags) request(t *tenancyFlags) pageRequest {
	return pageRequest{t.tenant(), t.namespace(), given[string](f.Cursor), f.Limit}
}

// more says how to go on. A host names a token after the last page too, so that of a page that is not full is not shown.
func (f *pageFlags) more(out *screen, n int, token *string) {
	if token != nil && uint64(n) >= f.Limit {
		out.line("There may be more: --cursor %s", shellWord(*token))
	}
}

// shellWord is a text as one word of a command line. Attack stopped: an id of somebody else with a quote in it, after which
// a command follows that whoever copies the line would run.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

type scenarioListCommand struct {
	pageFlags
	tenancyFlags
	clientFlags
}

func (c *scenarioListCommand) Help() string {
	return help("Lists the scenarios that a host has in a namespace: those of the tenant, and those that all tenants share. "+clientHelp,
		"decision-gate scenario list --namespace 2")
}

type scenariosPage struct {
	Items     []registry.ScenarioSummary `member:"items"`
	NextToken *string                    `member:"next_token" presence:"O"`
}

func (c *scenarioListCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	return c.with(ctx, std, command, func(s *session) error {
		var page scenariosPage
		result, err := s.call("scenarios_list", c.request(&c.tenancyFlags), &page, client.Idempotent)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			for _, item := range page.Items {
				out.marked(bold, "", "%s  %s", item.ScenarioID, hashText(item.SpecHash))
			}
			if len(page.Items) == 0 {
				out.line("There are no scenarios.")
			}
			c.more(out, len(page.Items), page.NextToken)
		})
	})
}

// Bounds of a search through a list, which a server could make endless.
const (
	searchPage  = 1000
	maxSearched = 100 // pages
)

// findScenario looks a scenario up in the host's list; nil when it is not there.
func (s *session) findScenario(tenant gate.TenantID, namespace gate.NamespaceID, id gate.ScenarioID) (*registry.ScenarioSummary, error) {
	request := pageRequest{TenantID: tenant, NamespaceID: namespace, Limit: searchPage}
	for range maxSearched {
		var page scenariosPage
		if _, err := s.call("scenarios_list", request, &page, client.Idempotent); err != nil {
			return nil, err
		}
		for i := range page.Items {
			if page.Items[i].ScenarioID == id {
				return &page.Items[i], nil
			}
		}
		if page.NextToken == nil || len(page.Items) < searchPage {
			break
		}
		request.Cursor = page.NextToken
	}
	return nil, nil
}
