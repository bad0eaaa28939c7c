package catalog

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// Examination is what a short start of one plugin has shown.
type Examination struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Findings are what a host would refuse, with the place in the configuration where there is one.
	Findings []string `json:"findings"`
	// Advice is what a host would accept and an operator should know.
	Advice []string `json:"advice"`
	// What the plugin says of itself; empty when it has not started.
	Plugin       string   `json:"plugin,omitempty"`
	Version      string   `json:"version,omitempty"`
	Protocol     string   `json:"protocol,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	// SHA256 is the sum of the program.
	SHA256 string `json:"sha256,omitempty"`
	// StartMillis is how long the process took to shake hands and answer for its manifest, of the StartBudget that it has.
	StartMillis float64 `json:"start_ms,omitempty"`
	StartBudget float64 `json:"start_budget_ms,omitempty"`
	// ResidentBytes is the memory of the process before it was configured; 0 where the system does not tell.
	ResidentBytes uint64 `json:"resident_bytes,omitempty"`
}

// Examine starts each plugin just long enough to ask it for its manifest, and finds what a host would refuse or an operator
// should know. Nothing is configured: what the settings name is not opened.
func Examine(ctx context.Context, options Options) []Examination {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	out := make([]Examination, len(options.Plugins))
	dir, err := pluginDir(options.PluginDir)
	var wg sync.WaitGroup
	for i, p := range options.Plugins {
		e := &out[i]
		*e = Examination{Kind: p.Kind, Name: p.Name, Findings: []string{}, Advice: []string{}}
		if err != nil {
			e.find(err)
			continue
		}
		program, err := resolve(p, dir, options)
		if err != nil {
			e.find(err)
			continue
		}
		wg.Go(func() { e.start(ctx, program, options.Logger) })
	}
	wg.Wait()
	return out
}

func (e *Examination) find(err error) { e.Findings = append(e.Findings, err.Error()) }

func (e *Examination) start(ctx context.Context, p *program, logger *slog.Logger) {
	if sum, err := fileSum(p.path); err == nil {
		e.SHA256 = sum
	}
	begun := time.Now()
	process, m, err := p.launch(ctx, logger)
	if err != nil {
		e.find(err)
		return
	}
	defer process.Kill(shutdownDeadline)
	e.StartMillis = float64(time.Since(begun).Microseconds()) / 1000
	e.StartBudget = float64(p.plugin.StartTimeout.Microseconds()) / 1000
	e.Plugin, e.Version, e.Capabilities = m.name, m.version, m.capabilities
	e.Protocol = fmt.Sprintf("%s, minor %d", handshake.Protocol, m.minor)
	e.ResidentBytes = residentBytes(process.PID())
	if _, err := p.plugin.ConfigJSON(&m.schema); err != nil {
		e.find(err)
	}
	e.advise(p, m)
}

// slowStart is the part of its time for starting above which an operator should give a plugin more: machines are busier at times.
const slowStart = 0.5

func (e *Examination) advise(p *program, m *manifest) {
	say := func(format string, args ...any) { e.Advice = append(e.Advice, fmt.Sprintf(format, args...)) }
	switch {
	case len(p.pin) == 0:
		say(`it is not pinned: whoever can replace its program runs as the host; "decision-gate plugin pin" pins it`)
	case p.locked == nil:
		say("its pin is sha256 of the block, %s; a lock file would keep its manifest as well, so that validate checks its settings", hex.EncodeToString(p.pin[:4]))
	}
	if p.signers == nil {
		say("nothing asks for a signature of its program")
	}
	if p.sandbox == nil {
		say("it has no sandbox: it may do whatever the user of the host may")
	}
	for _, name := range p.plugin.Env {
		if _, set := os.LookupEnv(name); !set {
			say("env names %s, which is not set here", name)
		}
	}
	if m.minor < handshake.Minor {
		say("it was built for version 1.%d of the protocol, and the next version of the host will not support that: build it with a newer SDK", m.minor)
	}
	if !m.shares() {
		say("it does not say that two processes may use its data at a time: a reload cannot replace it")
	}
	if e.StartBudget > 0 && e.StartMillis > slowStart*e.StartBudget {
		say("its start took more than half of start_timeout (%s)", p.plugin.StartTimeout)
	}
}
