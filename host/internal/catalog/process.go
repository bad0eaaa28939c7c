package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// session is one life of a plugin's process, configured and connected.
type session struct {
	program  *program
	process  *launch.Process
	life     pb.PluginClient
	store    store.Store
	sink     runpack.Sink
	provider evidence.Provider
	auth     auth.Authenticator

	// retired ends when another process has taken this one's place.
	retired context.Context
	retire  context.CancelFunc
	calls   int           // in flight; guarded by the supervisor's lock
	idle    chan struct{} // closed when the session is retired and its last call has ended
}

// launch starts the process and reads its manifest. Errors begin with the plugin's name; on one nothing is left running.
func (p *program) launch(ctx context.Context, logger *slog.Logger) (*launch.Process, *manifest, error) {
	process, err := launch.Start(ctx, launch.Spec{
		Name: processName(p.plugin), Path: p.path, Args: p.plugin.Command[1:], SHA256: p.pin,
		Env: p.env, Dir: p.plugin.Dir, Sandbox: p.sandbox, Files: p.files(), Verify: p.verifier(), Logger: logger, StartTimeout: p.plugin.StartTimeout, Observe: p.observe,
	})
	if errors.Is(err, launch.ErrTimeout) {
		err = fmt.Errorf("%w; give it more with start_timeout, now %s", err, p.plugin.StartTimeout)
	}
	if findings := (*config.Error)(nil); errors.As(err, &findings) {
		return nil, nil, findings // of the signature: they begin with the line
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := p.manifest(ctx, process)
	if err != nil {
		process.Kill(0)
		return nil, nil, pluginError(p.plugin, err)
	}
	return process, m, nil
}

func (p *program) manifest(ctx context.Context, process *launch.Process) (*manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, manifestDeadline)
	defer cancel()
	wire, err := pb.NewPluginClient(process.Conn()).Manifest(ctx, &pb.ManifestRequest{Minor: handshake.Minor})
	if err != nil {
		return nil, fmt.Errorf("it does not answer for its manifest: %w", fault.FromStatus(err))
	}
	return checkManifest(p.plugin, p.locked, wire)
}

// start launches and configures a process. The settings are evaluated against the manifest of this very process, so that
// a mistake is found with its line also without a lock file.
func (p *program) start(ctx context.Context, logger *slog.Logger) (*session, *manifest, error) {
	process, m, err := p.launch(ctx, logger)
	if err != nil {
		return nil, nil, err
	}
	s, err := p.open(ctx, process, m)
	return s, m, err
}

// open configures a process that was launched; on an error it is killed.
func (p *program) open(ctx context.Context, process *launch.Process, m *manifest) (*session, error) {
	conn := process.Conn()
	s := &session{
		program: p, process: process, life: pb.NewPluginClient(conn),
		store: store.NewClient(conn), sink: runpack.NewClient(conn), provider: evidence.NewClient(conn), auth: auth.NewClient(conn),
		idle: make(chan struct{}),
	}
	s.retired, s.retire = context.WithCancel(context.Background())
	err := p.configure(ctx, s.life, m)
	if err == nil {
		err = p.readContract(ctx, s.provider)
	}
	if err != nil {
		process.Kill(0)
		return nil, pluginError(p.plugin, err)
	}
	return s, nil
}

func (p *program) configure(ctx context.Context, life pb.PluginClient, m *manifest) error {
	settings, err := p.plugin.ConfigJSON(&m.schema)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.pace.configure)
	defer cancel()
	if _, err := life.Configure(ctx, &pb.ConfigureRequest{ConfigJson: settings}); err != nil {
		err = fault.FromStatus(err)
		if fault.Is(err, fault.Deadline) {
			return fmt.Errorf("it has not taken its settings in time, see whether what they name can be reached: %w", err)
		}
		return fmt.Errorf("it refuses its settings: %w", err)
	}
	return nil
}

// health is what a health check found.
type health struct {
	answered, live, ready bool
	reason                string
}

// why says why a plugin is not ready.
func (h health) why() string { return cmp.Or(h.reason, "it is not ready and gives no reason") }

func (s *session) health(ctx context.Context) health {
	ctx, cancel := context.WithTimeout(ctx, s.program.pace.health)
	defer cancel()
	resp, err := s.life.Health(ctx, &pb.HealthRequest{})
	if err != nil {
		return health{reason: "the health check was not answered"}
	}
	return health{answered: true, live: resp.GetLive(), ready: resp.GetReady(), reason: plain(resp.GetReason())}
}

// maxReason is the length in bytes of the longest reason that is shown.
const maxReason = 300

// plain makes a plugin's text fit for a status page and a terminal.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
