package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// State is where a plugin is in its life.
type State string

// The states.
const (
	// Starting: there is no process yet, or it is being replaced; calls wait.
	Starting State = "starting"
	// Ready: calls are expected to succeed.
	Ready State = "ready"
	// Degraded: the process lives but says that it cannot work, a call found something wrong, or it has died so often
	// that calls no longer wait for it.
	Degraded State = "degraded"
	// Stopped: the catalog was closed.
	Stopped State = "stopped"
)

// Status is the state of one plugin, for an operator. It holds neither paths nor settings.
type Status struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Plugin and Version are from the manifest.
	Plugin  string `json:"plugin,omitempty"`
	Version string `json:"version,omitempty"`
	State   State  `json:"state"`
	// Reason says why the plugin is not ready.
	Reason string `json:"reason,omitempty"`
	// PID is 0 while there is no process.
	PID int `json:"pid,omitempty"`
	// Restarts counts the processes after the first.
	Restarts int `json:"restarts"`
}

// supervisor keeps one plugin alive.
type supervisor struct {
	// program is the first that was started. Another may take its place (swap.go), of the same kind and name.
	program *program
	logger  *slog.Logger
	pace    atomic.Pointer[pace] // that of the program

	run    context.Context // ends when the catalog closes
	stop   context.CancelFunc
	done   chan struct{} // closed when watching has ended
	opened bool          // written by open, before anything else runs

	meter meter

	swaps    chan *swap     // taken by watch
	retiring sync.WaitGroup // processes that were replaced and still end

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever what follows changes
	session  *session      // nil while there is no configured process
	current  *program      // what is started next
	manifest *manifest
	health   health
	away     string // why there is no process
	spent    bool   // the budget of quick restarts is spent: calls do not wait
	fault    fault.Reason
	faultEnd time.Time
	restarts int
	began    time.Time // when the session's process began to serve
	lastEnd  *End
	stopped  bool
}

func newSupervisor(p *program, options Options) *supervisor {
	s := &supervisor{
		program: p, current: p, changed: make(chan struct{}), done: make(chan struct{}), away: "it is being started",
		logger: options.Logger, swaps: make(chan *swap),
	}
	p.observe = s.meter.observe
	s.pace.Store(p.pace)
	s.run, s.stop = context.WithCancel(context.Background())
	return s
}

func (s *supervisor) log(level slog.Level, message string, args ...any) {
	s.logger.With("plugin", processName(s.program.plugin)).Log(context.Background(), level, message, args...)
}

// open makes the first start, whose errors are the operator's to see at once, and begins to watch.
func (s *supervisor) open(ctx context.Context) error {
	session, m, err := s.program.start(ctx, s.logger)
	if errors.Is(err, launch.ErrPin) && s.program.locked == nil {
		// The pin is the configuration's: it has a line, and "plugin pin" does not mend it.
		if found := s.program.checkSum(); found != nil {
			return found
		}
	}
	if err != nil {
		return err
	}
	s.opened = true
	s.publish(ctx, session, m)
	go s.watch(session)
	return nil
}

// publish lets calls through to a new session.
func (s *supervisor) publish(ctx context.Context, session *session, m *manifest) {
	found := session.health(ctx)
	s.update(func() {
		s.session, s.manifest, s.health, s.away, s.spent = session, m, found, "", false
		s.began = time.Now()
	})
	s.tellRunning(session, m, found)
}

func (s *supervisor) tellRunning(session *session, m *manifest, found health) {
	level, attrs := slog.LevelInfo, []any{"name", m.name, "version", m.version, "pid", session.process.PID()}
	if signed := s.running().signed.Load(); signed != nil && signed.key != "" {
		attrs = append(attrs, "signed_by", signed.key, "comment", signed.comment)
	}
	if !found.ready {
		level, attrs = slog.LevelWarn, append(attrs, "not_ready", found.why())
	}
	s.log(level, "plugin is running", attrs...)
	if m.minor < handshake.Minor {
		s.log(slog.LevelWarn, fmt.Sprintf("plugin was built for version 1.%d of the protocol, which the next version of the host will not support any more: build it with a newer SDK, of version 1.%d", m.minor, handshake.Minor))
	}
}

// update changes the state under the lock and wakes those who wait for a change.
func (s *supervisor) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// watch replaces the process whenever it is lost, until the catalog closes.
func (s *supervisor) watch(session *session) {
	defer close(s.done)
	var budget budget
	for {
		why, swap := s.lost(session)
		if swap != nil {
			s.take(swap)
			session = swap.session
			continue
		}
		if why == "" {
			return
		}
		s.update(func() { s.session, s.away = nil, why })
		session.process.Kill(0)
		s.update(func() { s.lastEnd = &End{time.Now(), why, session.process.LastLog()} })
		s.log(slog.LevelError, "plugin is lost", "reason", why, "last_log", session.process.LastLog())
		if session = s.revive(&budget); session == nil {
			return
		}
	}
}

// lost waits until a session's process has ended or is no use, and says why; empty when the catalog closes, or another is to
// take its place.
func (s *supervisor) lost(session *session) (string, *swap) {
	interval := session.program.plugin.HealthInterval
	timer := time.NewTimer(interval)
	defer timer.Stop()
	missed := 0
	for {
		select {
		case <-s.run.Done():
			return "", nil
		case swap := <-s.swaps:
			return "", swap
		case <-session.process.Exited():
			return "the process ended: " + session.process.ExitReason(), nil
		case <-timer.C:
		}
		found := session.health(s.run)
		pause := interval
		switch {
		case s.run.Err() != nil:
			return "", nil
		case found.answered && !found.live:
			return "it asked to be restarted: " + cmp.Or(found.reason, "no reason given"), nil
		case found.answered:
			missed = 0
		default:
			// Asked again at once: a plugin that hangs holds calls until it is killed.
			if missed++; missed >= maxMissedHealth {
				return fmt.Sprintf("it left %d health checks unanswered", missed), nil
			}
			pause = 0
		}
		s.found(found)
		timer.Reset(pause)
	}
}

// found keeps a health check's result, and logs it when it is news.
func (s *supervisor) found(found health) {
	before := s.status().State
	s.update(func() { s.health = found })
	if now := s.status(); now.State != before {
		level := slog.LevelInfo
		if now.State == Degraded {
			level = slog.LevelWarn
		}
		var attrs []any
		if now.Reason != "" {
			attrs = append(attrs, "reason", now.Reason)
		}
		s.log(level, "plugin is "+string(now.State), attrs...)
	}
}

// revive starts a new process, as often as it takes: at first quickly, with doubling pauses, and then slowly. Nil when
// the catalog closes.
func (s *supervisor) revive(budget *budget) *session {
	for {
		pace := s.pace.Load()
		pause, quick := budget.next(time.Now(), pace)
		if !quick {
			s.log(slog.LevelError, "plugin was restarted too often", "restarts", pace.maxRestarts, "window", pace.restartWindow, "next_try", pause)
		}
		s.update(func() { s.spent = !quick })
		swap, alive := s.pause(pause)
		if swap != nil {
			s.take(swap)
			return swap.session
		}
		if !alive {
			return nil
		}
		session, m, err := s.current.start(s.run, s.logger)
		if err == nil {
			s.update(func() { s.restarts++ })
			s.publish(s.run, session, m)
			return session
		}
		if s.run.Err() != nil {
			return nil
		}
		s.log(slog.LevelError, "plugin could not be restarted", "error", err.Error())
		s.update(func() { s.away = startFailure(err) })
	}
}

// pause waits before a start. Another process may be handed over meanwhile; false when the catalog closes.
func (s *supervisor) pause(pause time.Duration) (*swap, bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, true
	case swap := <-s.swaps:
		return swap, true
	case <-s.run.Done():
		return nil, false
	}
}

// startFailure is what went wrong at a start in words that hold no path and no log line: those are in the log.
func startFailure(err error) string {
	for _, known := range []error{launch.ErrPin, launch.ErrExited, launch.ErrHandshake, launch.ErrTimeout} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "it could not be started, see the log"
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Status{Kind: s.program.plugin.Kind, Name: s.program.plugin.Name, Restarts: s.restarts}
	if s.manifest != nil {
		out.Plugin, out.Version = s.manifest.name, s.manifest.version
	}
	if s.session != nil {
		out.PID = s.session.process.PID()
	}
	out.State, out.Reason = s.state()
	return out
}

// faultReasons is what a call's error says of the plugin as a whole.
var faultReasons = map[fault.Reason]string{
	fault.Denied:  "the backend refuses to work for the plugin: credentials, permissions, or files that are not its own",
	fault.Full:    "the backend has no space left",
	fault.Corrupt: "stored bytes are not what was written",
}

// state is called with the lock held.
func (s *supervisor) state() (State, string) {
	switch {
	case s.stopped:
		return Stopped, "the host is stopping"
	case s.session == nil && s.spent:
		return Degraded, "restarted too often: " + s.away
	case s.session == nil:
		return Starting, s.away
	case s.faulty(time.Now()):
		return Degraded, faultReasons[s.fault]
	case !s.health.ready:
		return Degraded, s.health.why()
	default:
		return Ready, ""
	}
}

// faulty says whether what a call found still counts. Corrupt bytes do until the host is restarted: a process cannot heal
// them, and somebody must look.
func (s *supervisor) faulty(now time.Time) bool {
	return s.fault == fault.Corrupt || (s.fault != "" && now.Before(s.faultEnd))
}

// report keeps what a call's error says of the plugin as a whole.
func (s *supervisor) report(err error) {
	reason := fault.ReasonOf(err)
	if _, counts := faultReasons[reason]; !counts {
		return
	}
	s.mu.Lock()
	news := !s.faulty(time.Now())
	if s.fault != fault.Corrupt {
		s.fault, s.faultEnd = reason, time.Now().Add(s.pace.Load().hold)
	}
	s.mu.Unlock()
	if news || reason == fault.Corrupt {
		s.log(slog.LevelError, "ALARM: "+faultReasons[reason], "reason", reason, "error", err.Error())
	}
}

// close refuses new calls, lets those in flight end, and ends the process.
func (s *supervisor) close(ctx context.Context) error {
	s.update(func() { s.stopped = true })
	s.stop()
	if !s.opened {
		return nil
	}
	<-s.done
	s.retiring.Wait()
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session == nil {
		return nil
	}
	err := session.drain(ctx)
	session.process.Kill(s.pace.Load().shutdown)
	s.update(func() { s.session = nil })
	// What it had not written may be lost, and its operator would look for the cause elsewhere.
	switch killed := session.process.ExitReason() == launch.Killed; {
	case killed && err != nil:
		return fmt.Errorf("%w, and was killed", err)
	case killed:
		return fmt.Errorf("it did not end within %s of being asked to, and was killed", s.pace.Load().shutdown)
	default:
		return err
	}
}

// drain waits for the calls in flight.
func (s *session) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.program.pace.drain)
	defer cancel()
	deadline, _ := ctx.Deadline()
	_, err := s.life.Drain(ctx, &pb.DrainRequest{Deadline: durationpb.New(time.Until(deadline))})
	if err != nil {
		return fmt.Errorf("it did not drain: %w", fault.FromStatus(err))
	}
	return nil
}
