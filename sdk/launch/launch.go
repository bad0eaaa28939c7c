// Package launch starts a plugin process and connects to it: handshake, mutual TLS with a fresh key for every start, an
// empty environment, and no way for the process to outlive its parent. The host and the conformance kits start plugins
// through it, so that what a kit has tested is what a host runs.
//
// It speaks the handshake of HashiCorp go-plugin (package sdk/handshake) but does not use its client, which has no
// deadline on health checks or on Kill, and which a plugin's handshake line can crash. It does not restart, configure or
// supervise: that is the host's catalog.
package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

// Spec says what to start.
type Spec struct {
	// Name is what errors and log lines call the plugin.
	Name string
	// Path is the program: a path, not a name to look up.
	Path string
	// Args follow the program's name.
	Args []string
	// SHA256 is the pin: the sum of the bytes that are executed. Empty means that any program is run.
	SHA256 []byte
	// Verify is handed the bytes that are executed before they are, and its error stops the start; nil accepts any. Where
	// there is no sealed copy in memory (not on Linux), the file could be swapped after it.
	Verify func(program io.Reader) error
	// Env is the whole environment, beside the variables of the handshake: nothing of the parent's is inherited, so that
	// a plugin does not see the secrets of the host or of other plugins.
	Env []string
	// Dir is the working directory; empty means the parent's.
	Dir string
	// Logger gets the plugin's log lines; nil drops them.
	Logger *slog.Logger
	// Observe is told of every call when it has ended: its full name, how long it took, and its error. It is called by many
	// goroutines at once and must not wait; nil tells nobody.
	Observe func(method string, took time.Duration, err error)
	// Sandbox is what the program may do; nil lets it do whatever the parent's user may. StartCommand knows none.
	Sandbox *sandbox.Sandbox
	// Files are the files beside the program that it cannot run without, such as an interpreter's script: a sandbox lets
	// it read them.
	Files []string
	// StartTimeout bounds the time to the first answer; 0 means DefaultStartTimeout.
	StartTimeout time.Duration
}

// DefaultStartTimeout is what a slow interpreter on a busy machine needs, with room.
const DefaultStartTimeout = 15 * time.Second

// What went wrong at a start. The error that wraps one of them says it in full.
var (
	// ErrPin: the program is not the one that was pinned.
	ErrPin = errors.New("the program is not the pinned one")
	// ErrExited: the process ended before it was ready.
	ErrExited = errors.New("the process ended before it was ready")
	// ErrHandshake: what the process said is no handshake, or no mutual TLS came of it.
	ErrHandshake = errors.New("no valid handshake")
	// ErrTimeout: the process was not ready in time.
	ErrTimeout = errors.New("the process was not ready in time")
)

// Start runs the program and returns when it has answered a health check over mutual TLS. The context bounds the start,
// not the process. On an error nothing is left behind.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Logger == nil {
		spec.Logger = slog.New(slog.DiscardHandler)
	}
	if spec.StartTimeout == 0 {
		spec.StartTimeout = DefaultStartTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, spec.StartTimeout, ErrTimeout)
	defer cancel()
	p, err := start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("plugin %q: %w", spec.Name, err)
	}
	return p, nil
}

func start(ctx context.Context, spec Spec) (_ *Process, err error) {
	keys, err := newKeys()
	if err != nil {
		return nil, err
	}
	p := newProcess(spec)
	defer func() {
		if err != nil {
			p.Kill(0)
		}
	}()
	if p.dir, err = newSocketDir(); err != nil {
		return nil, err
	}
	if err := p.run(spec, keys.clientPEM); err != nil {
		return nil, err
	}
	offer, err := p.handshake(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.connect(offer, keys, spec.Observe); err != nil {
		return nil, err
	}
	if err := p.checkHealth(ctx); err != nil {
		return nil, err
	}
	p.logs.forward()
	go p.followStdio()
	return p, nil
}

// run starts the process.
func (p *Process) run(spec Spec, clientPEM []byte) error {
	stdout, stdoutWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdoutWriter.Close()
	stderr, stderrWriter, err := os.Pipe()
	if err != nil {
		stdout.Close()
		return err
	}
	defer stderrWriter.Close()
	control, controlWriter, err := os.Pipe()
	if err != nil {
		stdout.Close()
		stderr.Close()
		return err
	}
	defer control.Close()
	p.control = controlWriter
	// From here on the readers own the pipes and close them.
	cmd := &exec.Cmd{
		Path: spec.Path, Args: append([]string{spec.Path}, spec.Args...), Dir: spec.Dir,
		Stdout: stdoutWriter, Stderr: stderrWriter,
		// The first of these is descriptor 3 in the child.
		ExtraFiles: []*os.File{control},
		// The last of equal names wins: a caller cannot take the mutual TLS away.
		Env: append(append([]string{}, spec.Env...),
			handshake.CookieKey+"="+handshake.CookieValue,
			fmt.Sprintf("%s=%d", handshake.VersionsEnv, handshake.Version),
			handshake.SocketDirEnv+"="+p.dir.path,
			handshake.ClientCertEnv+"="+string(clientPEM),
			handshake.ControlEnv+"=3",
			handshake.LogLevelEnv+"="+lowestLevel(spec.Logger).String(),
		),
	}
	box := spec.box(p.dir.path)
	if err := startPinned(cmd, trust{spec.SHA256, spec.Verify}, box); err != nil {
		stdout.Close()
		stderr.Close()
		return err
	}
	if box != nil {
		p.group = box.group
	}
	p.follow(cmd, stdout, stderr)
	return nil
}

// box is the sandbox of a start with its private folder.
func (s *Spec) box(own string) *box {
	if s.Sandbox == nil {
		return nil
	}
	files := s.Files
	if len(s.SHA256) == 0 && s.Verify == nil {
		files = append([]string{s.Path}, files...)
	}
	return &box{sandbox: s.Sandbox, program: sandbox.Program{Own: own, Files: files}, timeout: s.StartTimeout}
}

// lowestLevel asks for Info even when the log drops it: LastLog needs it.
func lowestLevel(logger *slog.Logger) slog.Level {
	if logger.Enabled(context.Background(), slog.LevelDebug) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// handshake waits for the first line of stdout and reads it.
func (p *Process) handshake(ctx context.Context) (offer, error) {
	var line string
	select {
	case line = <-p.firstLine:
	case <-p.exited:
		// It may have printed something before it ended, and that tells more than that it ended.
		select {
		case line = <-p.firstLine:
		default:
			return offer{}, fmt.Errorf("%w: %s", ErrExited, p.ending())
		}
	case <-ctx.Done():
		return offer{}, p.startError(ctx, "no handshake line on stdout")
	}
	offer, err := parseHandshake(line, p.dir.path)
	if err != nil && p.exitsSoon() {
		err = fmt.Errorf("%w; then the process ended: %s", err, p.ending())
	}
	return offer, err
}

// exitSettle is how long a sign of the end, such as a broken connection, may come before the end itself.
const exitSettle = 100 * time.Millisecond

func (p *Process) exitsSoon() bool {
	select {
	case <-p.exited:
		return true
	case <-time.After(exitSettle):
		return false
	}
}

// startError says why the wait for something ended.
func (p *Process) startError(ctx context.Context, missing string) error {
	cause := context.Cause(ctx)
	if logs := p.logs.telling(); logs != "" {
		missing += "; its last log lines: " + logs
	}
	return fmt.Errorf("%w: %s", cause, missing)
}

// ending is the exit reason with the log lines that explain it.
func (p *Process) ending() string {
	reason := p.ExitReason()
	if logs := p.logs.telling(); logs != "" {
		reason += "; its last log lines: " + logs
	}
	return reason
}

// checkHealth makes the first call. Only that proves the TLS: under TLS 1.3 a refused client certificate shows when the
// connection is used, not when it is made.
func (p *Process) checkHealth(ctx context.Context) error {
	call, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.exited:
			cancel(ErrExited)
		case <-call.Done():
		}
	}()
	resp, err := grpc_health_v1.NewHealthClient(p.conn).Check(call, &grpc_health_v1.HealthCheckRequest{Service: handshake.HealthService})
	switch {
	case err == nil && resp.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING:
		return nil
	case err == nil:
		return fmt.Errorf("%w: the health service answers %s", ErrHandshake, resp.GetStatus())
	}
	if p.exitsSoon() {
		return fmt.Errorf("%w: %s", ErrExited, p.ending())
	}
	if ctx.Err() != nil {
		return p.startError(ctx, "the health check was not answered")
	}
	return fmt.Errorf("%w: the health check over mutual TLS failed: %v", ErrHandshake, err)
}
