package mcp

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
)

// standardTools says of each tool what only the standard surface tells.
//
//go:embed standard.json
var standardTools []byte

// scenarioSchema is the document that input schemas refer to as scenarioSchemaID.
//
//go:embed scenario.schema.json
var scenarioSchema []byte

const scenarioSchemaID = "decision-gate://contract/schemas/scenario.schema.json"

type standardTool struct {
	Name        string          `member:"name"`
	Title       string          `member:"title"`
	Annotations canonical.Value `member:"annotations"`
	Output      canonical.Value `member:"output_schema"`
}

const instructions = `Decision Gate decides whether a run may advance. A scenario has stages, a stage has gates, a gate is a requirement over conditions, and a condition asks an evidence provider. Define a scenario with scenario_define, start a run with scenario_start, and ask with scenario_next: the answer is advance, complete, fail or hold. A hold says which conditions are missing and what would open the stage; change the facts, not the scenario, and ask again with a new trigger_id. The same trigger_id answers the same decision. Ask precheck to try without deciding.`

// newStandard makes the standard surface of the tools in described, which are those of /rpc.
func (s *Server) newStandard(described []listedTool) (*modelcontext.Server, error) {
	tools, err := s.standardTools(described)
	if err != nil {
		return nil, err
	}
	return modelcontext.New(s.standardCatalog(tools), modelcontext.Options{
		MaxMessage:  s.MaxBody,
		MaxInflight: s.MaxInflight,
		Answers:     &s.answers,
		Begin:       s.beginLine,
		Observe:     s.observe,
	})
}

// standardCatalog is what it offers.
func (s *Server) standardCatalog(tools []modelcontext.Tool) modelcontext.Catalog {
	return modelcontext.Catalog{
		Name:         "decision-gate-host",
		Title:        "Decision Gate Host",
		Version:      cmp.Or(s.Version, "unknown"),
		Instructions: instructions,
		Tools:        tools,
		Resources:    s.standardResources(),
		Prompts:      s.prompts(),
		Complete:     s.completePrompt,
	}
}

func (s *Server) standardTools(described []listedTool) ([]modelcontext.Tool, error) {
	var more []standardTool
	v, err := canonical.Parse(standardTools)
	if err == nil {
		err = canonical.Decode(v, &more)
	}
	if err != nil {
		return nil, fmt.Errorf("standard.json: %w", err)
	}
	of := make(map[string]*standardTool, len(more))
	for i := range more {
		of[more[i].Name] = &more[i]
	}
	var tools []modelcontext.Tool
	for _, d := range described {
		known, found := of[d.Name]
		if !found {
			return nil, fmt.Errorf("standard.json does not describe %s", d.Name)
		}
		input, err := wholeSchema(d.InputSchema)
		if err != nil {
			return nil, err
		}
		tools = append(tools, modelcontext.Tool{
			Name: d.Name, Title: &known.Title, Description: d.Description,
			Input: input, Output: &known.Output, Annotations: &known.Annotations,
			Call: s.callStandard(s.tools[d.Name]),
		})
	}
	return tools, nil
}

// wholeSchema puts the schema of a scenario into an input schema that refers to it, under the same id: clients of /rpc have it
// themselves, a stock client has nowhere to get it from.
func wholeSchema(input canonical.Value) (canonical.Value, error) {
	if !bytes.Contains(canonical.AppendValue(nil, input, canonical.Declared), []byte(scenarioSchemaID)) {
		return input, nil
	}
	scenario, err := canonical.Parse(scenarioSchema)
	if err != nil {
		return canonical.Value{}, fmt.Errorf("scenario.schema.json: %w", err)
	}
	definition := []canonical.Member{{Name: "$id", Value: canonical.NewString(scenarioSchemaID)}}
	for _, m := range scenario.Members() {
		if m.Name != "$id" {
			definition = append(definition, m)
		}
	}
	definitions := canonical.NewObject([]canonical.Member{{Name: "scenario", Value: canonical.NewObject(definition)}})
	members := append([]canonical.Member{}, input.Members()...)
	return canonical.NewObject(append(members, canonical.Member{Name: "$defs", Value: definitions})), nil
}

// standardResources are the documents that clients may read.
func (s *Server) standardResources() []modelcontext.Resource {
	title := "Schema of a scenario"
	resources := []modelcontext.Resource{{
		URI: scenarioSchemaID, Name: "scenario.schema.json", Title: &title,
		Description: "The JSON Schema of what scenario_define takes.", MIMEType: "application/schema+json",
		Read: document(scenarioSchemaID, "application/schema+json", string(scenarioSchema)),
	}}
	if !s.Docs.Resources {
		return resources
	}
	for _, d := range s.Docs.Catalogue.Documents() {
		resources = append(resources, modelcontext.Resource{
			URI: d.URI, Name: d.Title, Description: d.Description, MIMEType: markdown,
			Read: document(d.URI, markdown, d.Text),
		})
	}
	return resources
}

func document(uri, mimeType, text string) func(context.Context, *modelcontext.Call) ([]modelcontext.Contents, error) {
	return func(context.Context, *modelcontext.Call) ([]modelcontext.Contents, error) {
		return []modelcontext.Contents{{URI: uri, MIMEType: mimeType, Text: &text}}, nil
	}
}
