package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
	pluginv1 "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// stopTimeout bounds an orderly end.
	stopTimeout = 10 * time.Second
	// killWait bounds the time between SIGKILL and the end of the process.
	killWait = 10 * time.Second
)

// pluginTarget starts processes of a plugin.
type pluginTarget struct {
	t       conformance.TB
	command []string
	config  any
	// scratch is a folder for what the kit itself writes.
	scratch string
	traces  int
	// server is set when the data is in one.
	server *Remote
}

func (p *pluginTarget) open() (*process, error) { return p.start(p.command) }

// openTraced starts a process under strace and answers the file that the trace is written to.
func (p *pluginTarget) openTraced(inject ...string) (*process, string, error) {
	p.traces++
	trace := filepath.Join(p.scratch, fmt.Sprintf("trace%d", p.traces))
	strace, err := straceCommand(trace, inject)
	if err != nil {
		return nil, "", err
	}
	started, err := p.start(append(strace, p.command...))
	return started, trace, err
}

func (p *pluginTarget) start(command []string) (*process, error) {
	started := launchtest.Launch(p.t, launch.Spec{Name: filepath.Base(p.command[0]), Path: command[0], Args: command[1:]})
	stop := sync.OnceFunc(func() { started.Kill(stopTimeout) })
	body, err := json.Marshal(p.config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	request := &pluginv1.ConfigureRequest{ConfigJson: body}
	if _, err := pluginv1.NewPluginClient(started.Conn()).Configure(ctx, request); err != nil {
		stop()
		return nil, fmt.Errorf("configure the plugin: %w; last log lines: %q", err, started.LastLog())
	}
	kill := func() {
		// An error means that it has ended already.
		_ = started.Signal(os.Kill)
		select {
		case <-started.Exited():
		case <-time.After(killWait):
			p.t.Errorf("the process lives %v after SIGKILL", killWait)
		}
		stop()
	}
	return &process{Store: store.NewClient(started.Conn()), kill: kill, stop: stop, pid: started.PID()}, nil
}
