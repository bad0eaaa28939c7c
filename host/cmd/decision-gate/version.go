package main

import (
	"fmt"
	"runtime"
)

type versionCommand struct {
	JSON bool `help:"Answer with one JSON object."`
}

func (c *versionCommand) Help() string {
	return help("Shows the version of the program, of the Go it was built with, and the platform.", "decision-gate version --json")
}

func (c *versionCommand) Run(std streams) error {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if c.JSON {
		return writeJSON(std.out, struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{version, runtime.Version(), platform})
	}
	_, err := fmt.Fprintf(std.out, "decision-gate %s (%s, %s)\n", version, runtime.Version(), platform)
	return err
}
