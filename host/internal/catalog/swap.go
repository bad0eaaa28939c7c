package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// ErrOtherPlugins is wrapped by the error of a reload whose plugins are not those that run.
var ErrOtherPlugins = errors.New("plugins were added, removed or renamed, which a reload does not do: restart the host")

// ErrNoPlugin is wrapped by the error of a restart of what the configuration does not have.
var ErrNoPlugin = errors.New("there is no such plugin")

// Swapped is what a reload made of one plugin.
type Swapped struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Changed says whether a new process has taken the place of the old one.
	Changed bool `json:"changed"`
	// Version and PID are those of the process that runs now.
	Version string `json:"version,omitempty"`
	PID     int    `json:"pid,omitempty"`
}

// Reload starts a new process for each plugin whose declaration, settings, pin or program has changed, waits until all of
// them are ready, and then lets them take the place of the old ones, which end after the calls that they have. When
// anything is wrong with any of them, all that run go on and the error says why. No call fails for a reload.
func (c *Catalog) Reload(ctx context.Context, options Options) ([]Swapped, error) {
	// One at a time: of two reloads the later one must win whole.
	c.reloading.Lock()
	defer c.reloading.Unlock()
	programs, err := resolveAll(options)
	if err != nil {
		return nil, err
	}
	if len(programs) != len(c.plugins) {
		return nil, ErrOtherPlugins
	}
	var (
		owners []*supervisor
		next   []*program
		out    []Swapped
	)
	for _, program := range programs {
		s := c.find(program.plugin.Kind, program.plugin.Name)
		if s == nil {
			return nil, ErrOtherPlugins
		}
		if !s.running().same(program) {
			// Scenarios were checked against what the first process could be asked.
			program.contract, program.observe = s.program.contract, s.meter.observe
			owners, next = append(owners, s), append(next, program)
			program.tellLacking(ctx, s.logger)
		}
	}
	swaps, err := startAll(ctx, owners, next)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, s := range owners {
		errs = append(errs, s.hand(swaps[i]))
	}
	for _, s := range c.plugins {
		out = append(out, s.swapped(slices.Contains(owners, s)))
	}
	return out, errors.Join(errs...)
}

// Restart starts a new process of one plugin as Reload does, with the program and the settings that it has.
func (c *Catalog) Restart(ctx context.Context, kind, name string) (Swapped, error) {
	s := c.find(kind, name)
	if s == nil {
		return Swapped{}, fmt.Errorf("%w: %s/%s", ErrNoPlugin, kind, name)
	}
	c.reloading.Lock()
	defer c.reloading.Unlock()
	swaps, err := startAll(ctx, []*supervisor{s}, []*program{s.running()})
	if err != nil {
		return Swapped{}, err
	}
	if err := s.hand(swaps[0]); err != nil {
		return Swapped{}, err
	}
	return s.swapped(true), nil
}

func (c *Catalog) find(kind, name string) *supervisor {
	for _, s := range c.plugins {
		if s.program.plugin.Kind == kind && s.program.plugin.Name == name {
			return s
		}
	}
	return nil
}

func (s *supervisor) swapped(changed bool) Swapped {
	now := s.status()
	return Swapped{now.Kind, now.Name, changed, now.Version, now.PID}
}

// running is the program that is started next, which is the one that runs unless it is being started.
func (s *supervisor) running() *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// same says whether a process of one program does what a process of another would: the same bytes with the same settings.
func (p *program) same(other *program) bool {
	mine, errMine := p.plugin.ConfigJSON(nil)
	theirs, errTheirs := other.plugin.ConfigJSON(nil)
	return errors.Join(errMine, errTheirs) == nil && bytes.Equal(mine, theirs) &&
		p.path == other.path && bytes.Equal(p.pin, other.pin) && p.sameFile(other) && p.signers.same(other.signers) && maps.Equal(p.script, other.script) &&
		slices.Equal(p.env, other.env) && sameBlock(p.plugin, other.plugin)
}

// sameFile compares what can be seen of a program without reading it: one that was replaced or written to is another.
func (p *program) sameFile(other *program) bool {
	a, b := p.file, other.file
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// sameBlock compares everything that a block says beside its settings, whose values may come from elsewhere.
func sameBlock(a, b *config.Plugin) bool {
	x, y := *a, *b
	x.Config, y.Config = config.Body{}, config.Body{}
	return reflect.DeepEqual(x, y)
}

// swap is a process that is ready to take another's place.
type swap struct {
	program  *program
	session  *session
	manifest *manifest
	health   health
	taken    chan struct{} // closed once it has
}

// startAll starts a process for each of the programs and waits until all are ready; on an error none is left.
func startAll(ctx context.Context, owners []*supervisor, programs []*program) ([]*swap, error) {
	swaps := make([]*swap, len(owners))
	errs := make([]error, len(owners))
	var wg sync.WaitGroup
	for i, s := range owners {
		wg.Go(func() { swaps[i], errs[i] = s.prepare(ctx, programs[i]) })
	}
	wg.Wait()
	err := config.Join(errs...)
	if err == nil {
		return swaps, nil
	}
	for _, swap := range swaps {
		if swap != nil {
			swap.session.process.Kill(0)
		}
	}
	return nil, err
}

// readyPause is the time between two questions to a new process whether it is ready.
const readyPause = 50 * time.Millisecond

// prepare starts a process beside the one that runs, and waits until it is ready.
func (s *supervisor) prepare(ctx context.Context, p *program) (*swap, error) {
	process, m, err := p.launch(ctx, s.logger)
	if err != nil {
		return nil, err
	}
	if err := s.mayRunBeside(m); err != nil {
		process.Kill(0)
		return nil, err
	}
	session, err := p.open(ctx, process, m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.pace.configure)
	defer cancel()
	for {
		found := session.health(ctx)
		if found.live && found.ready {
			return &swap{p, session, m, found, make(chan struct{})}, nil
		}
		select {
		case <-session.process.Exited():
			err = fmt.Errorf("the new process ended: %s", session.process.ExitReason())
		case <-ctx.Done():
			err = fmt.Errorf("the new process has not become ready: %s", found.why())
		case <-time.After(readyPause):
			continue
		}
		session.process.Kill(0)
		return nil, pluginError(p.plugin, err)
	}
}

// sharing are the capabilities of stores whose data more than one process may use at a time.
var sharing = []string{"changes", "shared"}

// shares says whether another process may use the data of a plugin while it runs. Stores say so; other kinds must allow it.
func (m *manifest) shares() bool {
	return m.kind != kindStore || slices.ContainsFunc(sharing, func(name string) bool { return slices.Contains(m.capabilities, name) })
}

// mayRunBeside refuses to have the data of a store opened a second time when either process may keep in memory what it has
// written: what the old one commits last would be lost.
func (s *supervisor) mayRunBeside(next *manifest) error {
	s.mu.Lock()
	now := s.manifest
	s.mu.Unlock()
	for _, m := range []*manifest{now, next} {
		if m != nil && !m.shares() {
			return pluginError(s.program.plugin, fmt.Errorf("%s %s does not say that two processes may use its data at a time (capability %q): restart the host instead", m.name, m.version, sharing[0]))
		}
	}
	return nil
}

// hand gives a process to the goroutine that watches, and returns when calls go to it.
func (s *supervisor) hand(swap *swap) error {
	select {
	case s.swaps <- swap:
		<-swap.taken
		return nil
	case <-s.done:
		swap.session.process.Kill(0)
		return pluginError(s.program.plugin, errors.New("the host is stopping"))
	}
}

// take lets calls through to a new process, and lets the old one end.
func (s *supervisor) take(swap *swap) {
	defer close(swap.taken)
	s.pace.Store(swap.program.pace)
	var old *session
	s.update(func() {
		old = s.session
		s.session, s.manifest, s.health, s.away, s.spent = swap.session, swap.manifest, swap.health, "", false
		s.current, s.began = swap.program, time.Now()
		if s.fault != fault.Corrupt { // which no process heals
			s.fault = ""
		}
		if old != nil {
			old.retire()
			old.rest()
		}
	})
	s.tellRunning(swap.session, swap.manifest, swap.health)
	if old != nil {
		s.retiring.Go(func() { s.end(old) })
	}
}

// end waits for the calls that a replaced process has, and ends it.
func (s *supervisor) end(old *session) {
	timer := time.NewTimer(retireDeadline)
	defer timer.Stop()
	select {
	case <-old.idle:
	case <-old.process.Exited():
	case <-timer.C:
	case <-s.run.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.pace.Load().shutdown)
	defer cancel()
	if err := old.drain(ctx); err != nil {
		s.logger.Warn("the replaced process ends badly", "plugin", processName(s.program.plugin), "error", err.Error())
	}
	old.process.Kill(s.pace.Load().shutdown)
}
