// Package catalog is the plugin host: it starts the plugins that a configuration names, watches over them, restarts them
// and hands out a store, a runpack sink and evidence providers behind which a process may die and come back without a caller noticing.
//
// It does not decide what a plugin is for, and it never goes on without one: a call whose plugin is away waits until its
// deadline and then fails.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Options say what to open.
type Options struct {
	Plugins []*config.Plugin
	// PluginDir is where a command without a slash is looked up; empty means the folder of this process's own program.
	PluginDir string
	// Lock holds pins and manifests; nil means that there is none. With one, a plugin that it does not name is refused.
	Lock *config.Lock
	// Signatures is who may have made plugins; nil asks for no signatures.
	Signatures *config.PluginSignatures
	// RequirePins refuses plugins without a pin. Without it they are allowed, because nobody but this machine's own users
	// can reach the host.
	RequirePins bool
	// Logger gets what happens to the plugins and their own lines; nil drops them.
	Logger *slog.Logger

	pace pace // zero outside of tests
	// manifestOnly leaves the settings and the lock file alone: Pin needs neither.
	manifestOnly bool
}

// From are the options that a configuration gives.
func From(settings *config.Config) Options {
	http := settings.Server.HTTP
	return Options{
		Plugins: settings.Plugins, PluginDir: settings.PluginDir, Lock: settings.Lock, Signatures: settings.PluginSignatures,
		RequirePins: http != nil && !http.Loopback(),
	}
}

// Catalog is a set of running plugins. Its methods are safe for concurrent use.
type Catalog struct {
	plugins []*supervisor
	store   store.Store
	sink    runpack.Sink

	reloading sync.Mutex
}

// Open checks every plugin's program, pin and settings, and then starts all of them at once. It returns when all are
// configured, or, with none of them left running, every error.
func Open(ctx context.Context, options Options) (*Catalog, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	programs, err := resolveAll(options)
	if err != nil {
		return nil, err
	}
	c := &Catalog{}
	for _, program := range programs {
		if len(program.pin) == 0 {
			options.Logger.WarnContext(ctx, `plugin is not pinned: whoever can replace its program runs as the host; "decision-gate plugin pin" pins it`, "plugin", processName(program.plugin))
		}
		program.tellLacking(ctx, options.Logger)
		c.plugins = append(c.plugins, newSupervisor(program, options))
	}
	if err := c.start(ctx); err != nil {
		// ctx may be what has ended the start.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainDeadline)
		defer cancel()
		_ = c.Close(ctx)
		return nil, err
	}
	c.store, c.sink = newStore(c.kind(kindStore)), newSink(c.kind(kindRunpack))
	return c, nil
}

// Check finds what Open would refuse before it starts anything, and compares the programs with their pins.
func Check(options Options) error {
	programs, err := resolveAll(options)
	errs := []error{err}
	for _, program := range programs {
		errs = append(errs, program.checkSum(), program.checkSignature())
	}
	return config.Join(errs...)
}

// resolveAll finds the programs before any is started, so that a typing error in the last plugin starts none.
func resolveAll(options Options) ([]*program, error) {
	dir, err := pluginDir(options.PluginDir)
	if err != nil {
		return nil, err
	}
	var (
		programs []*program
		errs     []error
	)
	for _, p := range options.Plugins {
		program, err := resolve(p, dir, options)
		programs, errs = append(programs, program), append(errs, err)
	}
	return programs, config.Join(errs...)
}

func pluginDir(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("the folder of the host's own program is not known (%w): set plugin_dir", err)
	}
	return filepath.Dir(self), nil
}

// pluginError begins with the plugin's name, but leaves the findings in a configuration file as they are: they say where.
func pluginError(p *config.Plugin, err error) error {
	var findings *config.Error
	if errors.As(err, &findings) {
		return err
	}
	return fmt.Errorf("plugin %q: %w", processName(p), err)
}

// processName is how log lines and errors call a plugin.
func processName(p *config.Plugin) string { return p.Kind + "/" + p.Name }

func (c *Catalog) start(ctx context.Context) error {
	errs := make([]error, len(c.plugins))
	var wg sync.WaitGroup
	for i, s := range c.plugins {
		wg.Go(func() { errs[i] = s.open(ctx) })
	}
	wg.Wait()
	return config.Join(errs...)
}

func (c *Catalog) kind(kind string) *supervisor {
	i := slices.IndexFunc(c.plugins, func(s *supervisor) bool { return s.program.plugin.Kind == kind })
	if i < 0 {
		return nil
	}
	return c.plugins[i]
}

// Store is the store plugin, nil when none was declared. Each call goes to the process that lives at that time; calls
// that failed because a process or a backend was away are made again, with the same commit ids, until their deadline.
func (c *Catalog) Store() store.Store { return c.store }

// Runpack is the runpack plugin, nil when none was declared.
func (c *Catalog) Runpack() runpack.Sink { return c.sink }

// Status is the state of every plugin, in the order of the configuration.
func (c *Catalog) Status() []Status {
	out := make([]Status, len(c.plugins))
	for i, s := range c.plugins {
		out[i] = s.status()
	}
	return out
}

// Ready says whether every plugin is ready without which the host cannot serve; Degraded names the others that are not.
func (c *Catalog) Ready() bool {
	return !slices.ContainsFunc(c.plugins, func(s *supervisor) bool {
		return s.program.plugin.Kind != kindEvidence && s.status().State != Ready
	})
}

// Close ends the plugins in the reverse order of the configuration: new calls are refused, those in flight may end until
// ctx does, then each process is shut down and at last killed. It returns within ctx and a few seconds for each plugin.
func (c *Catalog) Close(ctx context.Context) error {
	var errs []error
	for _, s := range slices.Backward(c.plugins) {
		if err := s.close(ctx); err != nil {
			errs = append(errs, pluginError(s.program.plugin, err))
		}
	}
	return errors.Join(errs...)
}
