package main

import (
	"os"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

func TestPageIsCurrent(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != render() {
		t.Error(`docs/configuration.md is not what its sources say: run "go generate ./host/config/reference"`)
	}
}

func TestPageNamesEverything(t *testing.T) {
	text := render()
	for _, row := range config.Reference() {
		want := "### `" + row.Block + "`\n"
		if row.Name != "" {
			want = "| `" + row.Name + "` | " + row.Type + " | "
		}
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, tables, _ := strings.Cut(text, "## Every block")
	for line := range strings.Lines(tables) {
		// A bar in a help text would tear its table.
		if strings.HasPrefix(line, "| `") && strings.Count(line, "|") != 6 {
			t.Errorf("a row of a table has other columns: %s", line)
		}
	}
}
