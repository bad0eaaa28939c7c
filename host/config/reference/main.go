// Command reference writes docs/configuration.md: an introduction kept beside this file, and the tables of every block and
// attribute from the types of package config. "go generate ./host/config/reference" runs it; a test fails when the page
// on disk is another.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

//go:generate go run .

// page is where the page lies, seen from this folder.
const page = "../../../docs/configuration.md"

//go:embed intro.md
var intro string

func main() {
	if err := os.WriteFile(page, []byte(render()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render() string {
	var b strings.Builder
	b.WriteString("<!-- Written by \"go generate ./host/config/reference\"; edit intro.md there, or the struct tags of package config. -->\n\n")
	b.WriteString(intro)
	b.WriteString("\n## Every block and attribute\n")
	for i, row := range config.Reference() {
		if row.Name == "" {
			fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", row.Block, row.Help)
			continue
		}
		if i == 0 {
			b.WriteString("\n### Top level\n")
		}
		if i == 0 || config.Reference()[i-1].Name == "" {
			b.WriteString("\n| Attribute | Type | Default | Bounds | Meaning |\n| --- | --- | --- | --- | --- |\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", row.Name, row.Type, code(row.Default), bounds(row), row.Help)
	}
	return b.String()
}

// code is a value as it is written in the file; "required" is a word about it.
func code(value string) string {
	if value == "" || value == "required" {
		return value
	}
	return "`" + value + "`"
}

// bounds are of a value, or of the length of a text or list.
func bounds(row config.Row) string {
	switch {
	case row.Bounds == "" || row.Unit == "":
		return row.Bounds
	default:
		return row.Bounds + " " + row.Unit
	}
}
