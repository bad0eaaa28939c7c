package mcp

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// tool is one tool: a function from its arguments to its result.
type tool struct {
	name string
	call func(s *Server, ctx context.Context, who caller, arguments canonical.Value) (any, error)
}

// typed makes a tool of a function on decoded arguments, which is called once the caller may work where they say.
func typed[A, R any](name string, call func(s *Server, ctx context.Context, who caller, arguments A) (R, error)) *tool {
	return &tool{name: name, call: func(s *Server, ctx context.Context, who caller, arguments canonical.Value) (any, error) {
		var a A
		if err := canonical.Decode(arguments, &a); err != nil {
			return nil, refuse(InvalidParams, "%s", err)
		}
		ctx, err := s.enter(ctx, who, name, a)
		if err != nil {
			return nil, err
		}
		return call(s, ctx, who, a)
	}}
}

// served are the tools in the order in which they are listed (mcp contract §1.6).
var served = []*tool{
	typed("scenario_define", (*Server).scenarioDefine),
	typed("scenario_start", (*Server).scenarioStart),
	typed("scenario_status", (*Server).scenarioStatus),
	typed("scenario_next", (*Server).scenarioNext),
	typed("scenario_submit", (*Server).scenarioSubmit),
	typed("scenario_trigger", (*Server).scenarioTrigger),
	typed("evidence_query", (*Server).evidenceQuery),
	typed("runpack_export", (*Server).runpackExport),
	typed("runpack_verify", (*Server).runpackVerify),
	typed("providers_list", (*Server).providersList),
	typed("provider_contract_get", (*Server).providerContractGet),
	typed("provider_check_schema_get", (*Server).providerCheckSchemaGet),
	typed("schemas_register", (*Server).schemasRegister),
	typed("schemas_list", (*Server).schemasList),
	typed("schemas_get", (*Server).schemasGet),
	typed("scenarios_list", (*Server).scenariosList),
	typed("precheck", (*Server).auditedPrecheck),
	searchTool,
}

// searchTool is served unless documentation, or the search in it, is turned off.
var searchTool = typed("decision_gate_docs_search", (*Server).docsSearch)

// descriptions holds the description and the input schema of each served tool, in the same order.
//
//go:embed tools.json
var descriptions []byte

type toolDescription struct {
	Name        string          `member:"name"`
	Description string          `member:"description"`
	InputSchema canonical.Value `member:"input_schema"`
}

// listedTool has its schema under both names: input_schema for clients of Decision Gate, inputSchema for stock MCP clients.
type listedTool struct {
	Name        string          `member:"name"`
	Description string          `member:"description"`
	InputSchema canonical.Value `member:"input_schema"`
	StockSchema canonical.Value `member:"inputSchema"`
}

// ToolRule says which tools are served (mcp contract §3.6).
type ToolRule struct {
	// Allow is nil where all are served. Deny wins.
	Allow, Deny []string
	// ListAll lists on /rpc what is not served as well.
	ListAll bool
}

func (r *ToolRule) serves(name string) bool {
	return (r.Allow == nil || slices.Contains(r.Allow, name)) && !slices.Contains(r.Deny, name)
}

// ToolNames are the names of all tools, in the order in which they are listed.
func ToolNames() []string {
	names := make([]string, len(served))
	for i, t := range served {
		names[i] = t.name
	}
	return names
}

func isTool(name string) bool {
	return slices.ContainsFunc(served, func(t *tool) bool { return t.name == name })
}

// describeTools prepares the answer to tools/list. A tool that is not served is unknown to a call, as one that does not exist.
func (s *Server) describeTools() error {
	v, err := canonical.Parse(descriptions)
	if err != nil {
		return fmt.Errorf("tools.json: %w", err)
	}
	var described []toolDescription
	if err := canonical.Decode(v, &described); err != nil {
		return fmt.Errorf("tools.json: %w", err)
	}
	if len(described) != len(served) {
		return fmt.Errorf("tools.json describes %d tools, %d are served", len(described), len(served))
	}
	s.tools = make(map[string]*tool, len(served))
	var list struct {
		Tools []listedTool `member:"tools"`
	}
	var callable []listedTool
	for i, t := range served {
		d := described[i]
		if d.Name != t.name {
			return fmt.Errorf("tools.json: tool %d is %s, not %s", i, d.Name, t.name)
		}
		if t == searchTool && !s.Docs.Search {
			continue
		}
		shown := listedTool{Name: d.Name, Description: d.Description, InputSchema: d.InputSchema, StockSchema: d.InputSchema}
		open := s.Tools.serves(t.name)
		if open {
			s.tools[t.name] = t
			callable = append(callable, shown)
		}
		if open || s.Tools.ListAll {
			list.Tools = append(list.Tools, shown)
		}
	}
	s.list = canonical.Append(nil, list, canonical.Declared)
	s.standard, err = s.newStandard(callable)
	return err
}
