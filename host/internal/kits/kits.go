// Package kits runs the conformance kit of whatever kind of plugin a program is, in any language, and writes reports of what
// came of it.
package kits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack/runpacktest"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest"
)

// describeTimeout bounds the questions before the first check.
const describeTimeout = 30 * time.Second

// Options say what to test.
type Options struct {
	// Command is the program and its arguments.
	Command []string
	// Kind is the one that the plugin must be of; empty means that of its manifest.
	Kind string
	// Config is the text of a JSON object in whose strings {dir} stands for a new folder, the same for all processes of a
	// check, and {name} for a new lower-case name.
	Config []byte
	// Match chooses checks by name; nil means all.
	Match *regexp.Regexp
	// Time is that of the trigger with which the examples of evidence are true.
	Time evidence.Time
	// Tokens are those that an auth plugin is tested with, in the form of authtest.ReadTokens.
	Tokens []byte
	// SingleProcess says that a store refuses a second process on the same data.
	SingleProcess bool
	// Remote says that the data of a store or sink is on another machine: what the plugin syncs is then not looked at.
	Remote bool
	// Short makes the checks of a store repeat less.
	Short bool
}

// Report is what came of a kit.
type Report struct {
	Plugin  string `json:"plugin"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
	Command string `json:"command"`
	// Checks are in the order in which they ran.
	Checks []Check `json:"checks"`
	Passed int     `json:"passed"`
	Failed int     `json:"failed"`
	// NotRun says what the kit was told to leave out.
	NotRun  []string `json:"not_run"`
	Seconds float64  `json:"seconds"`
}

// OK says that at least one check ran, and that all of them passed.
func (r *Report) OK() bool { return r.Failed == 0 && r.Passed > 0 }

// Check is what came of one check.
type Check struct {
	Name   string `json:"name"`
	Proves string `json:"proves"`
	Passed bool   `json:"passed"`
	// Messages are what the check has said.
	Messages []string `json:"messages"`
	Seconds  float64  `json:"seconds"`
}

// Watcher sees a kit run.
type Watcher interface {
	// Begin is called once, when the plugin has said what it is, with the number of checks.
	Begin(r *Report, checks int)
	// Check is called before a check, and Done after it.
	Check(name string, number int)
	Done(Check)
}

// kit is what there is for a kind of plugins.
type kit struct {
	checks func(conformance.TB, *Options) []conformance.Check
	// traced kits look at system calls, by strace.
	traced bool
	// needsTokens kits have no credentials of their own.
	needsTokens bool
	// remote is what is not looked at when data are on another machine.
	remote string
}

var kitsByKind = map[pb.Kind]kit{
	pb.Kind_KIND_STORE: {traced: true,
		remote: "whether answered commits outlive a crash of the server: package storetest does that in Go, with Plugin.Remote",
		checks: func(t conformance.TB, o *Options) []conformance.Check {
			p := storetest.Plugin{Command: o.Command, Config: o.config, SingleProcess: o.SingleProcess}
			if o.Remote {
				p.Remote = &storetest.Remote{}
			}
			return storetest.Checks(t, p)
		}},
	pb.Kind_KIND_RUNPACK: {traced: true,
		remote: "whether finished bundles outlive a crash of the other machine",
		checks: func(t conformance.TB, o *Options) []conformance.Check {
			return runpacktest.Checks(t, runpacktest.Plugin{Command: o.Command, Config: o.config, Remote: o.Remote})
		}},
	pb.Kind_KIND_EVIDENCE: {checks: func(t conformance.TB, o *Options) []conformance.Check {
		return evidencetest.Checks(t, evidencetest.Plugin{Command: o.Command, Config: o.config, Time: o.Time})
	}},
	pb.Kind_KIND_AUTH: {needsTokens: true, checks: func(t conformance.TB, o *Options) []conformance.Check {
		tokens, lacks, err := authtest.ReadTokens(o.Tokens)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return authtest.Checks(t, authtest.Plugin{Command: o.Command, Lacks: lacks, Fixture: func(_ authtest.T, dir string) authtest.Fixture {
			f := tokens
			f.Config = o.config(dir)
			return f
		}})
	}},
}

// KindName is the name of a kind in a configuration.
func KindName(kind pb.Kind) string {
	return strings.ToLower(strings.TrimPrefix(kind.String(), "KIND_"))
}

// Kinds are the names of the kinds that have a kit.
func Kinds() []string {
	var names []string
	for kind := range kitsByKind {
		names = append(names, KindName(kind))
	}
	slices.Sort(names)
	return names
}

// Run runs a kit. An error is that it could not be run.
func Run(ctx context.Context, o Options, watch Watcher) (*Report, error) {
	path, err := program(o.Command[0])
	if err != nil {
		return nil, err
	}
	o.Command = append([]string{path}, o.Command[1:]...)
	if _, err := o.configIn(os.TempDir()); err != nil {
		return nil, err
	}
	manifest, err := o.describe(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := o.kit(manifest.GetKind())
	if err != nil {
		return nil, err
	}
	report := &Report{
		Plugin: manifest.GetName(), Version: manifest.GetVersion(), Kind: KindName(manifest.GetKind()), Command: strings.Join(o.Command, " "),
		Checks: []Check{}, NotRun: []string{},
	}
	if o.Remote && chosen.remote != "" {
		report.NotRun = append(report.NotRun, chosen.remote)
	}
	return report, o.run(ctx, chosen, report, watch)
}

// program is the path of a command.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("there is no program %q on the PATH; a program of this folder is ./%s", name, name)
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("there is no program %s", name)
	case err != nil:
		return "", fmt.Errorf("%s cannot be run: %w", name, err)
	}
	return path, nil
}

// describe starts the plugin as every check will, so that what keeps all of them from running is told once.
func (o *Options) describe(ctx context.Context) (*pb.ManifestResponse, error) {
	process, err := launch.Start(ctx, launch.Spec{Name: filepath.Base(o.Command[0]), Path: o.Command[0], Args: o.Command[1:], StartTimeout: describeTimeout})
	if err != nil {
		return nil, err
	}
	defer process.Kill(time.Second)
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	plugin := pb.NewPluginClient(process.Conn())
	manifest, err := plugin.Manifest(ctx, &pb.ManifestRequest{})
	if err != nil {
		return nil, fmt.Errorf("the plugin does not say what it is: %w", fault.FromStatus(err))
	}
	dir, err := os.MkdirTemp("", "dg-conformance-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config, err := o.configIn(dir)
	if err != nil {
		return nil, err
	}
	if _, err := plugin.Configure(ctx, &pb.ConfigureRequest{ConfigJson: config}); err != nil {
		err = fault.FromStatus(err)
		if lines := process.LastLog(); len(lines) > 0 {
			return nil, fmt.Errorf("the plugin refuses its settings: %w; its last log lines: %q; give them with --config, where {dir} is a new folder", err, lines)
		}
		return nil, fmt.Errorf("the plugin refuses its settings: %w; give them with --config, where {dir} is a new folder", err)
	}
	return manifest, nil
}

// kit is that of a kind, if it can be run here.
func (o *Options) kit(kind pb.Kind) (kit, error) {
	chosen, known := kitsByKind[kind]
	switch {
	case !known:
		return kit{}, fmt.Errorf("there is no kit for plugins of kind %s; there is one for %s", KindName(kind), strings.Join(Kinds(), ", "))
	case o.Kind != "" && o.Kind != KindName(kind):
		return kit{}, fmt.Errorf("the program is a plugin of kind %s, not %s", KindName(kind), o.Kind)
	}
	if chosen.needsTokens && len(o.Tokens) == 0 {
		return kit{}, errors.New("an auth plugin is tested with tokens, which only you can make: name a file with --tokens, as docs/plugins.md shows")
	}
	if chosen.traced && !o.Remote {
		if _, err := exec.LookPath("strace"); err != nil || runtime.GOOS != "linux" {
			return kit{}, errors.New("the checks of durability look at the plugin's system calls, which needs Linux with strace: apt-get install strace")
		}
	}
	return chosen, nil
}

// run runs the checks that were chosen.
func (o *Options) run(ctx context.Context, k kit, report *Report, watch Watcher) error {
	if o.Short {
		conformance.Short()
	}
	var failed error
	begun := time.Now()
	result := conformance.Run(conformance.Check{Name: report.Kind, Run: func(t conformance.TB) {
		checks := slices.DeleteFunc(k.checks(t, o), func(c conformance.Check) bool { return o.Match != nil && !o.Match.MatchString(c.Name) })
		if len(checks) == 0 {
			failed = fmt.Errorf("no check of kind %s has a name that matches %s", report.Kind, o.Match)
			return
		}
		watch.Begin(report, len(checks))
		for i, c := range checks {
			if failed = ctx.Err(); failed != nil {
				return
			}
			watch.Check(c.Name, i+1)
			done := conformance.Run(c)
			report.add(c, done)
			watch.Done(report.Checks[len(report.Checks)-1])
		}
	}})
	report.Seconds = time.Since(begun).Seconds()
	if failed == nil && result.Failed {
		failed = errors.New(strings.Join(result.Messages, "; "))
	}
	return failed
}

func (r *Report) add(c conformance.Check, result conformance.Result) {
	r.Checks = append(r.Checks, Check{
		Name: c.Name, Proves: c.Proves, Passed: !result.Failed, Messages: append([]string{}, result.Messages...), Seconds: result.Took.Seconds(),
	})
	if result.Failed {
		r.Failed++
	} else {
		r.Passed++
	}
}

// names makes {name} another one each time.
var names atomic.Uint64

// config is configIn for a text that was read before.
func (o *Options) config(dir string) any {
	text, _ := o.configIn(dir)
	return json.RawMessage(text)
}

// configIn is the configuration with its places filled in.
func (o *Options) configIn(dir string) ([]byte, error) {
	text := o.Config
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	quoted, err := json.Marshal(dir)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("check_%d_%d", os.Getpid(), names.Add(1))
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("{dir}"), quoted[1:len(quoted)-1]), []byte("{name}"), []byte(name))
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, fmt.Errorf("the settings must be a JSON object such as {\"path\": \"{dir}/data\"}: %v", err)
	}
	return text, nil
}
