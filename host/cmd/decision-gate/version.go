package main

import (
	"fmt"
	"runtime"
)

const platform = runtime.GOOS + "/" + runtime.GOARCH

type versionCommand struct {
	JSON bool `help:"Answer with one JSON object."`
}

func (c *versionCommand) Help() string {
	return help("Shows the version of the program, of the Go it was built with, and the platform.", "decision-gate version --json")
}

func (c *versionCommand) Run(std streams) error {
	if c.JSON {
		return writeJSON(std.out, struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{version, runtime.Version(), platform})
	}
	_, err := fmt.Fprintln(std.out, versionLine())
	return err
}

// versionLine is the version for people.
func versionLine() string {
	return fmt.Sprintf("decision-gate %s (%s, %s)", version, runtime.Version(), platform)
}
