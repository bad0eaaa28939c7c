// Package host is Decision Gate Host for those who embed it: Open starts the plugins that a configuration declares and
// returns a Host whose Handler answers clients; Close ends it.
//
//	cfg, err := config.Load("decision-gate.hcl")
//	...
//	h, err := host.Open(ctx, host.Config{Settings: cfg})
//	...
//	defer h.Close()
//	http.ListenAndServe("127.0.0.1:8080", h.Handler())
//
// The program decision-gate is such an embedder and nothing more. The package links no database, cloud or identity
// provider: those are plugins, or Go values that an embedder passes.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/authority"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/feed"
	"github.com/decision-gate-host/decision-gate-host/host/internal/mcp"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	plugin "github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Config is what a host is opened with.
type Config struct {
	// Settings are those of the configuration file and its lock file: config.Load reads them, config.Default begins them
	// in Go.
	Settings *config.Config
	// Store and Runpack, when set, are used instead of the plugins of their kind. The caller closes them.
	Store   store.Store
	Runpack runpack.Sink
	// Evidence are providers by their ids, beside those of the settings; one takes the place of the evidence plugin of its
	// name. The caller closes them.
	Evidence map[string]plugin.Provider
	// Auth, when set, judges tokens in the place of the auth plugin that the settings declare. The caller closes it.
	Auth auth.Authenticator
	// Hosts are the names, without port, by which clients reach the handler in an embedder's server, beside those of
	// loopback. What is for another host, or comes from a page of another, is refused.
	Hosts []string
	// Authenticate, when set, says who sends a request to /rpc or /mcp, by a name that the server has checked: the auth
	// methods of the settings are not asked then, but for standard input. A name has the roles of the principal
	// "embedder:NAME" of the settings. An error, or an empty name, is answered with 401; the client is not told the error.
	// It is called for many requests at once, and before their bodies are read. Where it is nil, callers from beyond
	// loopback need a token or a certificate; behind a proxy on the same machine everybody comes from loopback.
	Authenticate func(*http.Request) (name string, err error)
	// Version is what clients of the Model Context Protocol are told to be talking to; "unknown" when it is empty.
	Version string
	// Logger takes the log of the host and of its plugins; nil is slog.Default.
	Logger *slog.Logger
	// AuditOutput takes the lines of an audit log that has no path, one Write for those of a request; nil is os.Stderr.
	AuditOutput io.Writer
}

// Host is a running host. It is safe for concurrent use.
type Host struct {
	opened    Config // with the settings that count beside those of plugins
	catalog   *catalog.Catalog
	providers *evidence.Registry
	server    *mcp.Server
	audit     *audit.Log
	authority *authority.Client // nil when there is none
	feed      *feed.Feed
	drain     time.Duration
}

// Open starts the plugins and returns once every one of them is ready, or an error that names the plugin that is not.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.Settings == nil {
		return nil, errNoSettings
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	docs, err := openDocs(cfg.Settings, cfg.Logger)
	if err := config.Join(check(cfg), err); err != nil {
		return nil, err
	}
	providers, err := openEvidence(cfg.Settings, cfg.Logger)
	if err != nil {
		return nil, err
	}
	plugins, err := catalog.Open(ctx, catalogOptions(cfg))
	if err != nil {
		return nil, config.Join(err, providers.Close())
	}
	h := &Host{opened: cfg, catalog: plugins, providers: providers, drain: cfg.Settings.Server.DrainTimeout}
	if h.audit, err = openAudit(cfg); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := addProviders(ctx, cfg, plugins, providers); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if h.server, err = newServer(cfg, h, docs); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Check finds what Open would refuse at once, without starting anything: folders, programs and their sums, and settings of
// plugins. Findings in the configuration are a *config.Error.
func Check(cfg Config) error {
	if cfg.Settings == nil {
		return errNoSettings
	}
	_, err := openDocs(cfg.Settings, slog.New(slog.DiscardHandler)) // what is left out is told when it is served
	return config.Join(check(cfg), checkTLS(cfg.Settings), err, catalog.Check(catalogOptions(cfg)))
}

// check finds what a host would not start with, as far as nothing need be opened for it.
func check(cfg Config) error {
	c := cfg.Settings
	return config.Join(checkFolders(c), checkTools(c), checkAccess(c), checkEvidence(c), checkProviders(cfg), checkDevelopment(cfg))
}

var errNoSettings = errors.New("host.Config.Settings is nil: begin with config.Load or config.Default")

func catalogOptions(cfg Config) catalog.Options {
	options := catalog.From(cfg.Settings)
	options.Plugins, options.Logger = pluginsOf(cfg), cfg.Logger
	return options
}

// checkFolders finds folders of the configuration that are not there, which would otherwise show in the first run that
// needs them.
func checkFolders(c *config.Config) error {
	var errs []error
	check := func(field any, name, dir string) {
		info, err := os.Stat(dir)
		if absolute, err := filepath.Abs(dir); err == nil {
			dir = absolute
		}
		var path *fs.PathError
		switch {
		case errors.Is(err, fs.ErrNotExist):
			errs = append(errs, c.Refuse(field, "Missing folder", "%s names a folder that is not there: %s. Make it, or name another.", name, c.Shown(field, dir)))
		case errors.As(err, &path):
			errs = append(errs, c.Refuse(field, "Folder cannot be used", "%s: %s: %v.", name, c.Shown(field, dir), path.Err))
		case !info.IsDir():
			errs = append(errs, c.Refuse(field, "Not a folder", "%s must name a folder; this is a file: %s.", name, c.Shown(field, dir)))
		}
	}
	if e := c.Evidence.JSON; e != nil {
		check(&e.Root, `root of evidence "json"`, e.Root)
	}
	if a := c.Audit; a != nil && a.Path != "" {
		check(&a.Path, "audit.path", filepath.Dir(a.Path))
	}
	for _, dir := range c.Runpack.Dirs {
		check(&c.Runpack.Dirs, "runpack.dirs", dir)
	}
	return config.Join(errs...)
}

// pluginsOf are the plugins that no Go value stands in for.
func pluginsOf(cfg Config) []*config.Plugin {
	var plugins []*config.Plugin
	for _, p := range cfg.Settings.Plugins {
		if p.Kind == "store" && cfg.Store != nil || p.Kind == "runpack" && cfg.Runpack != nil || p.Kind == "auth" && cfg.Auth != nil || p.Kind == "evidence" && cfg.Evidence[p.Name] != nil {
			continue
		}
		plugins = append(plugins, p)
	}
	return plugins
}

// newServer puts the layers on top of one another: store, registry and runs, surface.
func newServer(cfg Config, h *Host, docs mcp.Docs) (*mcp.Server, error) {
	plugins, providers := h.catalog, h.providers
	backend, sink := cfg.Store, cfg.Runpack
	if backend == nil {
		backend = plugins.Store()
	}
	if sink == nil {
		sink = plugins.Runpack()
	}
	if backend == nil {
		return nil, errors.New(`no store: declare a plugin "store" block, or pass a Store to host.Open`)
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("the name of this machine is not known: %w", err)
	}
	if strictRules(cfg.Settings).Permissive {
		cfg.Logger.Warn("validation.strict is false: scenarios may have conditions that can never be true, or are true by mistake")
	}
	warnDevelopment(cfg.Settings, cfg.Logger)
	if !access.ScopeChecks {
		cfg.Logger.Error("this is a test build without the checks of scope: any caller may name any tenant")
	}
	settings := currentSettings(cfg.Settings, time.Now, cfg.Logger)
	callers, err := accessOptions(cfg.Settings)
	if err != nil {
		return nil, err
	}
	if callers.Authenticator, err = authenticator(cfg, plugins); err != nil {
		return nil, err
	}
	changes := backend
	// With the tenant of each caller, so that a store with row-level security need not believe the keys.
	backend = persist.Told(backend)
	definitions := registry.New(backend)
	carried := runs.New(backend, definitions, providers, settings, name)
	carried.MaxClockSkew = cfg.Settings.Trust.MaxClockSkew
	h.feed = feed.Open(changes, cfg.Logger, definitions)
	surface := mcp.Config{
		Version:     cfg.Version,
		Runs:        carried,
		Registry:    definitions,
		Evidence:    providers,
		Settings:    settings,
		Security:    security(cfg.Settings),
		Audit:       h.audit,
		Runpacks:    sink,
		Logger:      cfg.Logger,
		Ready:       h.Ready,
		Degraded:    plugins.Degraded,
		Access:      access.New(callers),
		Namespace:   namespaceRule(cfg.Settings),
		Schemas:     schemaLimits(cfg.Settings),
		Strict:      strictRules(cfg.Settings),
		Disclosed:   disclosure(cfg.Settings),
		Tools:       toolRule(cfg.Settings),
		Discovery:   discoveryRule(cfg.Settings),
		Docs:        docs,
		RunpackDirs: cfg.Settings.Runpack.Dirs,
		Redact:      cfg.Settings.Runpack.Redact,
		MaxArtifact: cfg.Settings.Runpack.MaxArtifactBytes,
		MaxBody:     cfg.Settings.Server.MaxBodyBytes,
		MaxInflight: int(cfg.Settings.Server.MaxInflight),
		Hosts:       hosts(cfg),
		EventStream: cfg.Settings.Server.HTTP != nil && cfg.Settings.Server.HTTP.RPCFormat == "sse",
		Limiter:     limiter(cfg.Settings),

		Authenticate: cfg.Authenticate,

		AuditPayloads: cfg.Settings.Audit != nil && cfg.Settings.Audit.PrecheckPayloads,
	}
	if h.authority = namespaceAuthority(cfg.Settings); h.authority != nil {
		surface.Authority = h.authority
	}
	return mcp.New(surface)
}

// Handler answers POST /rpc and /mcp, /healthz and /readyz; http.StripPrefix puts it below a path of an embedder's server.
// It sets no time within which a request must arrive: that is the server's.
func (h *Host) Handler() http.Handler { return h.server.Handler() }

// ServeStdio answers Content-Length frames, or messages of the Model Context Protocol by the line, until in ends or the
// context does.
func (h *Host) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	return h.server.ServeStdio(ctx, in, out)
}

// Ready reports whether every plugin is ready without which the host cannot decide, and the audit log can be written: what
// /readyz answers. An evidence plugin that is not ready costs its own conditions, and shows in Plugins.
func (h *Host) Ready() bool { return h.catalog.Ready() && h.audit.Ready() == nil }

// ReopenAudit opens the file of the audit log anew, for programs that rotate logs and tell so. A file that was moved away is
// noticed without being told.
func (h *Host) ReopenAudit() error { return h.audit.Reopen() }

// PluginStatus is the state of one plugin, without paths and settings.
type PluginStatus = catalog.Status

// Plugins is the state of every plugin.
func (h *Host) Plugins() []PluginStatus { return h.catalog.Status() }

// ChangesState says how current the host is about what other hosts on its store have changed.
type ChangesState = feed.State

// Changes answers how current the host is about what other hosts have changed. While it does not follow the store's changes it
// keeps nothing of it in memory.
func (h *Host) Changes() ChangesState { return h.feed.State() }

// Close drains and ends the plugins, within the drain timeout of the settings. Serve no more requests before it.
func (h *Host) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), max(h.drain, minClose))
	defer cancel()
	if h.authority != nil {
		h.authority.Close()
	}
	if h.feed != nil {
		h.feed.Close() // or the store would wait for it
	}
	return errors.Join(h.catalog.Close(ctx), h.providers.Close(), h.audit.Close())
}
