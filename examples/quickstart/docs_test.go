package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages are run: each fenced block says in its info string what a reader does with it, and this test does the same,
// page by page, in one folder with bin/ and sdk/ in it.
//
//	sh            run by bash; the blocks of a page share one shell, and stop at the first failure
//	sh serve      one command, run beside the others until the page ends
//	sh make       lines "make TARGET": the targets exist (the demo has a test of its own); and the clone before them
//	text output   lines that the sh block before it must have written
//	LANG file=P   saved as P; an hcl file must be valid
//	hcl           a whole configuration, which must be valid
//	json KIND     a part of a scenario (stages, requirement, condition), which a host must accept
//	go file=P     saved as P beside the other go blocks of its folder, and compiled
//	text, mermaid are for the reader alone
//
// A block with another info string fails.
type block struct {
	page, lang, kind, file string
	line                   int
	text                   string
}

func (b block) String() string { return fmt.Sprintf("%s:%d (%s %s)", b.page, b.line, b.lang, b.kind) }

var fence = regexp.MustCompile("^```(.*)$")

func blocks(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	var (
		found  []block
		inside bool
	)
	for i, line := range strings.Split(string(text), "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && !inside:
			b := block{page: page, line: i + 1}
			b.lang, b.kind, _ = strings.Cut(m[1], " ")
			if file, ok := strings.CutPrefix(b.kind, "file="); ok {
				b.kind, b.file = "file", file
			}
			found, inside = append(found, b), true
		case m != nil:
			inside = false
		case inside:
			found[len(found)-1].text += line + "\n"
		}
	}
	if inside {
		t.Fatalf("%v is not closed", found[len(found)-1])
	}
	return found
}

// pages are README.md and everything in docs.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md"}
	for _, path := range found {
		names = append(names, "docs/"+filepath.Base(path))
	}
	if len(names) < 2 {
		t.Fatal("there are no docs")
	}
	return names
}

func TestPages(t *testing.T) {
	for _, page := range pages(t) {
		t.Run(filepath.Base(page), func(t *testing.T) {
			p := &pageRun{t: t, blocks: blocks(t, page), dir: t.TempDir(), sources: map[string]string{}, files: map[string]string{}}
			if err := os.Symlink(binaries, filepath.Join(p.dir, "bin")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "sdk"), filepath.Join(p.dir, "sdk")); err != nil {
				t.Fatal(err)
			}
			if page == movingIn {
				makeDatabase(t, filepath.Join(p.dir, "decision-gate.db"))
			}
			p.run()
		})
	}
}

// movingIn is the page whose reader has a database of the open-source server.
const movingIn = "docs/moving-in.md"

func makeDatabase(t *testing.T, path string) {
	t.Helper()
	rows, err := os.Open("testdata/decision-gate.db.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cmd := exec.Command("go", "run", "./plugins/store-sqlite/internal/opensource/makedatabase", path)
	cmd.Dir, cmd.Stdin = root, rows
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// pageRun is what a page's blocks become.
type pageRun struct {
	t       *testing.T
	blocks  []block
	dir     string
	script  strings.Builder
	outputs []block           // sh blocks and what they must have written
	sources map[string]string // Go files by the path that the page gives them
	files   map[string]string // other files, so far
	host    *runningHost      // for parts of scenarios
}

func (p *pageRun) run() {
	p.script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n")
	for _, b := range p.blocks {
		p.add(b)
	}
	p.runScript()
	p.compile()
}

func (p *pageRun) add(b block) {
	switch b.lang + " " + b.kind {
	case "text ", "mermaid ":
		if commandLine.MatchString(b.text) {
			p.t.Errorf("%v: a command in a block that nobody runs", b)
		}
	case "sh ":
		p.outputs = append(p.outputs, b)
		fmt.Fprintf(&p.script, "echo %s\n%s", marker(len(p.outputs)-1), b.text)
	case "text output":
		if len(p.outputs) == 0 {
			p.t.Fatalf("%v: there is no sh block before it", b)
		}
		p.outputs = append(p.outputs, b)
	case "sh serve":
		// The block's one command keeps its place; the next block waits until something listens.
		fmt.Fprintf(&p.script, "%s &\nfor i in $(seq 300); do curl -sf http://127.0.0.1:8080/readyz >/dev/null && break; kill -0 $!; sleep 0.1; done\n", strings.TrimSpace(b.text))
	case "sh make":
		for line := range strings.Lines(b.text) {
			if strings.TrimSpace(line) == clone {
				continue
			}
			target, _ := strings.CutPrefix(strings.TrimSpace(line), "make ")
			dry := exec.Command("make", "-n", target)
			dry.Dir = root
			if out, err := dry.CombinedOutput(); err != nil {
				p.t.Errorf("%v: %v\n%s", b, err, out)
			}
		}
	case "go file":
		p.sources[b.file] = b.text
	case "hcl file", "json file", "text file", "toml file":
		p.files[b.file] = b.text
		fmt.Fprintf(&p.script, "mkdir -p %q\ncat >%q <<'END-OF-FILE'\n%sEND-OF-FILE\n", filepath.Dir(b.file), b.file, b.text)
		if b.lang == "hcl" {
			p.validate(b)
		}
	case "hcl ":
		p.validate(b)
	case "json stages", "json requirement", "json condition":
		p.define(b)
	default:
		p.t.Errorf("%v: no such kind of block", b)
	}
}

// clone is the one command that is not tried: it needs a network.
const clone = "git clone https://github.com/decision-gate-host/decision-gate-host && cd decision-gate-host"

// commandLine finds what looks like a command.
var commandLine = regexp.MustCompile(`(?m)^\s*(\$|bin/|make |curl |go |git )`)

func marker(n int) string { return fmt.Sprintf("=== block %d", n) }

// runScript runs the shell blocks, on a port that is free, and compares what they wrote.
func (p *pageRun) runScript() {
	if len(p.outputs) == 0 {
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	shell := command(p.t.Context(), p.dir, "bash")
	shell.Stdin = strings.NewReader(strings.ReplaceAll(p.script.String(), "127.0.0.1:8080", address))
	stdout, stderr, code, err := output(shell)
	if err != nil || code != 0 {
		p.t.Fatalf("the commands of the page end with exit code %d (%v)\n%s%s", code, err, stdout, stderr)
	}
	written := ""
	for i, b := range p.outputs {
		if b.lang == "sh" {
			_, after, _ := strings.Cut(stdout, marker(i)+"\n")
			written, _, _ = strings.Cut(after, "=== block ")
			continue
		}
		for line := range strings.Lines(b.text) {
			if line = strings.TrimSpace(line); !strings.Contains(written, line) {
				p.t.Errorf("%v: %q is not in what the block before wrote:\n%s", b, line, written)
			}
		}
	}
}

func (p *pageRun) validate(b block) {
	dir := p.t.TempDir()
	for name, text := range p.files {
		beside := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "host.hcl")
	if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	// What the pages have their readers make, validate looks for.
	for _, folder := range []string{"evidence", "runpacks", "data"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, mine := range []string{"store-mine", "evidence-mine", "store-postgres"} {
		if err := os.Symlink("store-sqlite", filepath.Join(binaries, mine)); err != nil && !errors.Is(err, fs.ErrExist) {
			p.t.Fatal(err)
		}
	}
	if err := writeCertificate(dir); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binaries, "decision-gate"), "validate", "--config", path)
	cmd.Env = append(os.Environ(), "DATABASE_DIR=/var/lib/decision-gate", "DATABASE_URL=postgres://gate@db.example/gate?sslmode=verify-full")
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Errorf("%v: %v\n%s", b, err, out)
	}
}

// conditionLeaf finds the conditions that a requirement names.
var conditionLeaf = regexp.MustCompile(`"Condition":\s*"([^"]+)"`)

// define completes a part of a scenario with what is needed around it, and defines it on a host.
func (p *pageRun) define(b block) {
	if p.host == nil {
		p.startHost()
	}
	part := json.RawMessage(b.text)
	conditions := []any{}
	stage := func(requirement any) any {
		return []any{map[string]any{
			"stage_id": "only", "entry_packets": []any{}, "advance_to": map[string]any{"kind": "terminal"}, "on_timeout": "fail",
			"gates": []any{map[string]any{"gate_id": "gate", "requirement": requirement}},
		}}
	}
	for _, leaf := range conditionLeaf.FindAllStringSubmatch(b.text, -1) {
		id := leaf[1]
		if !slices.ContainsFunc(conditions, func(c any) bool { return c.(map[string]any)["condition_id"] == id }) {
			conditions = append(conditions, map[string]any{
				"condition_id": id, "comparator": "exists", "policy_tags": []any{},
				"query": map[string]any{"provider_id": "env", "check_id": "get", "params": map[string]any{"key": id}},
			})
		}
	}
	var stages any = part
	switch b.kind {
	case "requirement":
		stages = stage(part)
	case "condition":
		var named struct {
			ID string `json:"condition_id"`
		}
		if err := json.Unmarshal(part, &named); err != nil {
			p.t.Errorf("%v: %v", b, err)
			return
		}
		stages, conditions = stage(map[string]any{"Condition": named.ID}), []any{part}
	}
	err := call(p.t.Context(), p.host.URL, "scenario_define", map[string]any{"spec": map[string]any{
		"scenario_id": fmt.Sprintf("line-%d", b.line), "namespace_id": namespace, "spec_version": "1", "stages": stages,
		"conditions": conditions, "policies": []any{}, "schemas": []any{},
	}}, &struct{}{})
	if err != nil {
		p.t.Errorf("%v: %v", b, err)
	}
}

func (p *pageRun) startHost() {
	dir := p.t.TempDir()
	config := filepath.Join(dir, "host.hcl")
	if err := copyFile("host.hcl", config); err != nil {
		p.t.Fatal(err)
	}
	text, err := os.ReadFile(config)
	if err == nil {
		text = append(text, "evidence \"http\" {}\nvalidation {\n  lexicographic = true\n  deep_equals = true\n}\n"...)
		err = os.WriteFile(config, text, 0o600)
	}
	for _, folder := range []string{"evidence", "runpacks"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, folder), 0o700)
		}
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if p.host, err = startHost(p.t.Context(), filepath.Join(binaries, "decision-gate"), config); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := p.host.end(); err != nil {
			p.t.Error(err)
		}
	})
}

// compile compiles the Go blocks, tests too, each folder a package, as if they lay in this module.
func (p *pageRun) compile() {
	if len(p.sources) == 0 {
		return
	}
	overlay := map[string]string{}
	packages := map[string]bool{}
	for name, text := range p.sources {
		path := filepath.Join(p.dir, "go", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
		overlay[filepath.Join(root, "examples", "quickstart", name)] = path
		packages["./examples/quickstart/"+filepath.Dir(name)] = true
		if formatted, err := exec.Command("gofmt", "-l", path).CombinedOutput(); err != nil || len(formatted) > 0 {
			p.t.Errorf("%s is not formatted: %v %s", name, err, formatted)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		p.t.Fatal(err)
	}
	for pkg := range packages {
		for _, args := range [][]string{{"build"}, {"test", "-c", "-vet=off"}} {
			build := exec.Command("go", append(args, "-o", filepath.Join(p.dir, "built"), "-overlay", file, pkg)...)
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				p.t.Errorf("the Go blocks for %s do not compile: %v\n%s", pkg, err, out)
			}
		}
	}
}

// setting finds the settings of a plugin in a lock file: its name, attributes and their defaults.
var setting = regexp.MustCompile(`(?m)^  plugin\s+= "([^"]+)"|^    attribute "([^"]+)" \{|^      default_json\s+= "\\"(.*)\\""|^      (required)\s+= true`)

// TestPluginSettings compares the table of the plugins' settings with what the plugins say of themselves.
func TestPluginSettings(t *testing.T) {
	dir := t.TempDir()
	if err := copyFile("host.hcl", filepath.Join(dir, "host.hcl")); err != nil {
		t.Fatal(err)
	}
	pin := exec.Command(filepath.Join(binaries, "decision-gate"), "plugin", "pin", "--config", filepath.Join(dir, "host.hcl"))
	if out, err := pin.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "decision-gate.lock.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	var plugin string
	var rows []string
	for _, m := range setting.FindAllStringSubmatch(string(lock), -1) {
		switch {
		case m[1] != "":
			plugin = m[1]
		case m[2] != "":
			rows = append(rows, fmt.Sprintf("| `%s` | `%s` | ", plugin, m[2]))
		case m[3] != "":
			rows[len(rows)-1] += "`" + m[3] + "` |"
		default:
			rows[len(rows)-1] += "required |"
		}
	}
	for _, row := range rows {
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/configuration.md lacks the row %s", row)
		}
	}
	if listed := len(regexp.MustCompile("(?m)^\\| `(store|runpack)-").FindAllString(string(page), -1)); listed != len(rows) || len(rows) == 0 {
		t.Errorf("docs/configuration.md lists %d settings, the plugins have %d: %q", listed, len(rows), rows)
	}
}

// link finds the links of a page to other files of the repository.
var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks follows the links between pages and into the repository.
func TestLinks(t *testing.T) {
	for _, page := range append(pages(t), "CHANGELOG.md") {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}
