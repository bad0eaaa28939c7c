package guide

import (
	"embed"
	"fmt"
	"strings"
)

// The pages are copies of those in docs/, which lies outside of this module, where nothing can be embedded from. A test
// fails when they differ.
//
//go:generate sh -c "cp ../../../docs/clients.md ../../../docs/evidence.md ../../../docs/runpacks.md ../../../docs/scenarios.md pages/"
//go:embed pages/*.md
var pages embed.FS

// part is a page, or the section of it with a heading, together with the sections below that.
type part struct{ page, heading string }

// own are the documents of the host. Ids, addresses and order are those that clients of Decision Gate know (mcp contract
// §4.20).
var own = []*Document{
	document("evidence_flow_and_execution_model", "Evidence Flow + Execution Model", Reasoning, "evidence-flow",
		"Evidence flow, trust lanes, and runtime evaluation semantics.",
		part{"evidence", "From a question to a verdict"}, part{"scenarios", "Trust lanes"}, part{"scenarios", "Time"}),
	document("security_guide", "Security Guide", Reasoning, "security",
		"Security posture, disclosure policy, and fail-closed defaults.",
		part{"clients", "Security"}, part{"evidence", "What is disclosed"}, part{"runpacks", "What a pass does not prove"}),
	document("tooling_summary", "Decision Gate MCP Tools", Decision, "tooling",
		"Tool surface summary and usage notes.",
		part{"clients", "The tools"}, part{"clients", "Errors"}),
	document("authoring_formats", "Decision Gate Authoring Formats", Ontology, "authoring",
		"Canonical JSON and authoring format rules.",
		part{"scenarios", "Members of a scenario"}, part{"scenarios", "Stages"}, part{"clients", "Ids, times and numbers"}),
	document("condition_authoring", "Condition Authoring Cookbook", Ontology, "conditions",
		"Comparator semantics and tri-state rules.",
		part{"scenarios", "Conditions"}),
	document("ret_logic", "Requirement Evaluation Trees (RET)", Ontology, "ret-logic",
		"RET structure, operators, and evaluation rules.",
		part{"scenarios", "Requirement trees"}),
	document("llm_native_playbook", "LLM-Native Playbook", Decision, "llm-playbook",
		"LLM-first workflows and MCP call sequences.",
		part{"clients", "From a scenario to a decision"}, part{"clients", "When a gate holds"}),
	document("providers_summary", "Decision Gate Built-in Providers", Ontology, "providers",
		"Built-in provider checks and schema details.",
		part{"evidence", "Built-in providers"}),
	document("provider_protocol", "Evidence Provider Protocol", Pattern, "provider-protocol",
		"MCP evidence_query protocol contract.",
		part{"evidence", "Questions and answers"}),
	document("provider_schema_authoring", "Provider Schema Authoring Guide", Pattern, "provider-schema",
		"How to author provider schemas for custom checks.",
		part{"evidence", "Contracts"}),
	document("provider_development", "Provider Development Guide", Pattern, "provider-development",
		"Implementing MCP evidence providers.",
		part{"evidence", "Providers outside the host"}, part{"evidence", "Without a provider of your own"}),
	document("json_evidence_playbook", "JSON Evidence Playbook", Pattern, "json-evidence",
		"JSON evidence workflows and JSONPath semantics.",
		part{"evidence", "JSON and YAML files"}),
	document("runpack_architecture", "Decision Gate Runpack Architecture", Reasoning, "runpack-architecture",
		"Runpack export/verify semantics and integrity guarantees.",
		part{"runpacks", ""}),
}

// document puts a document together. The pages are a part of the binary, so a part that is not there is a mistake of this
// package, which any start of it shows.
func document(id, title string, role Role, address, description string, parts ...part) *Document {
	d := &Document{ID: id, Title: title, Role: role, URI: Prefix + address, Description: description, Text: "# " + title + "\n\n" + description + "\n"}
	for i, p := range parts {
		page, err := pages.ReadFile("pages/" + p.page + ".md")
		if err != nil {
			panic(err)
		}
		text := p.of(string(page))
		if text == "" {
			panic(fmt.Sprintf("docs/%s.md has no section %q", p.page, p.heading))
		}
		if heading, rest, _ := strings.Cut(text, "\n"); i == 0 && heading == "## "+p.heading {
			// The first section is what the document is called after: a heading of its own would leave nothing below that.
			text = strings.TrimSpace(rest)
		}
		d.Text += "\n" + text + "\n"
	}
	d.sections = split(d)
	return d
}

// of is the part of a page, without the heading of the page itself.
func (p part) of(page string) string {
	var text strings.Builder
	inside := p.heading == ""
	for line := range strings.Lines(page) {
		heading, ok := headingOf(line)
		// A section goes on below headings of the third level.
		if ok && p.heading != "" && (!inside || strings.HasPrefix(line, "## ")) {
			inside = heading == p.heading
		}
		if inside && !strings.HasPrefix(line, "# ") {
			text.WriteString(line)
		}
	}
	return strings.TrimSpace(text.String())
}
