package main

import (
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/internal/scaffold"
)

type pluginNewCommand struct {
	Kind string `required:"" help:"Kind of the plugin: evidence."`
	Lang string `required:"" help:"Language: go, python or typescript." enum:"go,python,typescript"`
	Dir  string `help:"Folder to write into (NAME)." placeholder:"DIR"`
	SDK  string `help:"Folder sdk of a clone of the repository, which has the SDKs (looked for in the folders above)." placeholder:"DIR" name:"sdk"`
	JSON bool   `help:"Answer with one JSON object."`
	Name string `arg:"" help:"Name of the plugin, such as evidence-tickets."`
}

func (c *pluginNewCommand) Help() string {
	return help("Writes a small plugin that builds and passes its conformance kit as it is, and says with which commands. "+
		"There are templates for evidence in Go, Python and TypeScript.",
		"decision-gate plugin new --kind evidence --lang python evidence-tickets")
}

func (c *pluginNewCommand) Run(std streams) error {
	made, err := scaffold.Write(scaffold.Options{Kind: c.Kind, Lang: c.Lang, Name: c.Name, Dir: c.Dir, SDK: c.SDK})
	if err != nil {
		return errors.New(printable(err.Error()))
	}
	if c.JSON {
		return writeJSON(std.out, made)
	}
	out := newScreen(std.out)
	out.line("Wrote %s: %s.", made.Dir, plural(len(made.Files), "file"))
	out.line("In that folder, these build it and run its kit:")
	for _, command := range made.Next {
		out.line("  %s", command)
	}
	return out.err
}
