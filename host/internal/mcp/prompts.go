package mcp

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
)

// Prompts for whoever writes a scenario or is stopped by one. What they ask for, tools of this server do.
var (
	//go:embed prompts/author_scenario.md
	authorScenario string
	//go:embed prompts/review_scenario.md
	reviewScenario string
	//go:embed prompts/open_gate.md
	openGate string
)

// prompt is a text with a place for each argument, written {name}; {providers} and {schema} are filled in as well.
type prompt struct {
	name, title, description string
	text                     *string
	arguments                []modelcontext.Argument
}

var servedPrompts = []prompt{
	{"author_scenario", "Write a scenario", "Write a scenario that guards something, from what must be true before it may happen.", &authorScenario, []modelcontext.Argument{
		{Name: "goal", Description: "What is to be guarded, and what must be true before it may happen.", Required: true},
		{Name: "provider", Description: "An evidence provider to build on; all are offered when it is left out."},
	}},
	{"review_scenario", "Review a scenario", "Look for ways in which a scenario lets something pass that should not, or never opens.", &reviewScenario, []modelcontext.Argument{
		{Name: "scenario", Description: "The scenario as JSON, or its id.", Required: true},
	}},
	{"open_gate", "Open a gate that holds", "Find out why a run holds and what would open it.", &openGate, []modelcontext.Argument{
		{Name: "scenario_id", Description: "The scenario of the run.", Required: true},
		{Name: "run_id", Description: "The run that holds.", Required: true},
	}},
}

// prompts are those of the standard surface.
func (s *Server) prompts() []modelcontext.Prompt {
	var prompts []modelcontext.Prompt
	for _, p := range servedPrompts {
		prompts = append(prompts, modelcontext.Prompt{
			Name: p.name, Title: &p.title, Description: p.description, Arguments: p.arguments,
			Get: func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) { return s.getPrompt(&p, c) },
		})
	}
	return prompts
}

func (s *Server) getPrompt(p *prompt, c *modelcontext.Call) (modelcontext.Result, error) {
	fill := []string{"{providers}", s.offeredChecks(argument(c, "provider"))}
	for _, a := range p.arguments {
		fill = append(fill, "{"+a.Name+"}", argument(c, a.Name))
	}
	// One pass: what an argument says is not looked at again.
	text := strings.NewReplacer(fill...).Replace(*p.text)
	dst := canonical.AppendString([]byte(`"description":`), p.description)
	dst = canonical.AppendString(append(dst, `,"messages":[{"role":"user","content":{"type":"text","text":`...), text)
	return modelcontext.Result{Members: append(dst, "}}]"...)}, nil
}

func argument(c *modelcontext.Call, name string) string {
	v, _ := c.Arguments.Member(name)
	text, _ := v.Text()
	return text
}

// offeredChecks lists the checks of a provider, or of all where there is none of that name.
func (s *Server) offeredChecks(provider string) string {
	var all, one strings.Builder
	for _, contract := range s.Evidence.Contracts() {
		for i := range contract.Checks {
			check := &contract.Checks[i]
			line := fmt.Sprintf("- %s.%s: %s Comparators: %v.\n", contract.ProviderID, check.CheckID, check.Description, check.AllowedComparators)
			all.WriteString(line)
			if string(contract.ProviderID) == provider {
				one.WriteString(line)
			}
		}
	}
	if one.Len() > 0 {
		return one.String()
	}
	return all.String()
}

// completePrompt offers the providers for the argument of that name.
func (s *Server) completePrompt(_ context.Context, asked *modelcontext.Completion) ([]string, error) {
	var values []string
	if asked.Prompt != "" && asked.Argument == "provider" {
		for _, contract := range s.Evidence.Contracts() {
			values = append(values, string(contract.ProviderID))
		}
	}
	return values, nil
}
