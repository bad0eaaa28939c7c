package runpacktest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// processes opens sinks by launching the plugin.
type processes struct {
	command []string
	config  func(dir string) any
}

func newProcesses(t T, p Plugin) *processes {
	t.Helper()
	if p.Config == nil || (p.Package == "") == (len(p.Command) == 0) {
		t.Fatalf("runpacktest.Plugin needs Config and one of Package and Command")
	}
	command := p.Command
	if p.Package != "" {
		command = []string{launchtest.Build(t, p.Package)}
	}
	path, err := exec.LookPath(command[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &processes{command: append([]string{path}, command[1:]...), config: p.Config}
}

func (p *processes) open(t T, dir string) opened {
	t.Helper()
	o, _ := p.start(t, dir)
	return o
}

// start launches the plugin, behind the command prefix if there is one.
func (p *processes) start(t T, dir string, prefix ...string) (opened, *launch.Process) {
	t.Helper()
	command := append(prefix, p.command...)
	process := launchtest.Start(t, launch.Spec{Name: filepath.Base(p.command[0]), Path: command[0], Args: command[1:]}, p.config(dir))
	kill := func() {
		t.Helper()
		if err := process.Signal(syscall.SIGKILL); err != nil {
			t.Fatalf("SIGKILL: %v", err)
		}
		<-process.Exited()
	}
	return opened{sink: runpack.NewClient(process.Conn()), conn: process.Conn(), kill: kill}, process
}

// dataDir is an empty directory for a process check.
// try is start for a plugin that may refuse to open.
func (p *processes) try(t T, dir string, prefix ...string) (runpack.Sink, *launch.Process, error) {
	t.Helper()
	command := append(prefix, p.command...)
	process := launchtest.Launch(t, launch.Spec{Name: filepath.Base(p.command[0]), Path: command[0], Args: command[1:]})
	body, err := json.Marshal(p.config(dir))
	if err != nil {
		t.Fatalf("marshal the configuration: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	if _, err := pb.NewPluginClient(process.Conn()).Configure(ctx, &pb.ConfigureRequest{ConfigJson: body}); err != nil {
		process.Kill(killGrace)
		return nil, nil, err
	}
	return runpack.NewClient(process.Conn()), process, nil
}

func dataDir(t T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	return dir
}
