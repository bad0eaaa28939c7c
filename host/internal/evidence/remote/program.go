package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

const (
	// restartDelay is how long a program that has ended stays so: one that ends at once must not cost the machine a process
	// for each question. It doubles with each failure in a row, up to maxRestartDelay.
	restartDelay    = time.Second
	maxRestartDelay = 30 * time.Second
	// maxDoublings keeps the delay from overflowing.
	maxDoublings = 16
	// settle is the time within which the host does its own part of a question.
	settle = 2 * time.Second
)

// What goes wrong with a program. errTimeout and errStopped are ours: the open-source Decision Gate waits for ever.
var (
	errSpawn   = errors.New("failed to spawn mcp provider")
	errTimeout = errors.New("mcp request timed out")
	errStopped = errors.New("the host stops")
	errExited  = errors.New("the program has ended by itself")
)

// ProgramOptions say what is run.
type ProgramOptions struct {
	// Name is the provider's, for the log.
	Name string
	// Path is the program, Args what follows its name, Dir where it runs.
	Path string
	Args []string
	Dir  string
	// Env is its whole environment.
	Env []string
	// RequestTimeout is how long it has for an answer, and how long a question waits for its turn before.
	RequestTimeout time.Duration
	// AnyID takes answers whatever their id is.
	AnyID bool
	// Logger gets what the program writes to standard error, at debug level; nil drops it.
	Logger *slog.Logger

	// delay is restartDelay, but in tests.
	delay time.Duration
}

// Program is a provider that is a process. Questions wait for one another; their number is bounded by whoever asks. It is
// safe for concurrent use.
type Program struct {
	ProgramOptions
	turn    chan struct{} // holds a token while a question is under way
	stopped chan struct{}
	stop    sync.Once

	mu      sync.Mutex // guards session for Close, which waits for no turn
	session *session

	// What follows belongs to whoever has the turn.
	failures  int       // in a row
	notBefore time.Time // when the program may be started again
	ending    string    // how the last process ended
}

// StartProgram starts the program, which goes on until Close. What cannot be started fails here and not at a question.
func StartProgram(options ProgramOptions) (*Program, error) {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	options.Logger = options.Logger.With(slog.String("provider", options.Name))
	if options.delay == 0 {
		options.delay = restartDelay
	}
	p := &Program{ProgramOptions: options, turn: make(chan struct{}, 1), stopped: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, err
	}
	return p, nil
}

// Patience is the longest time that Query takes.
func (p *Program) Patience() time.Duration { return 2*p.RequestTimeout + settle }

// Close ends the process.
func (p *Program) Close() error {
	p.stop.Do(func() { close(p.stopped) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil {
		return nil
	}
	return p.session.end()
}

// Query asks the program. When the context ends while the program has the question, its answer is still awaited, so that the
// next question does not find it on the way.
func (p *Program) Query(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	body, id := newQuestion(q, ec)
	wait := time.NewTimer(p.RequestTimeout)
	defer wait.Stop()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return gate.EvidenceResult{}, errTimeout
	case <-wait.C:
		return gate.EvidenceResult{}, errTimeout
	case <-p.stopped:
		return gate.EvidenceResult{}, errStopped
	}
	return p.ask(ctx, body, id)
}

// ask has the turn.
func (p *Program) ask(ctx context.Context, body []byte, id canonical.Value) (gate.EvidenceResult, error) {
	s, err := p.ready()
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	answer, err := s.exchange(body, p.RequestTimeout)
	if err != nil {
		// What the program sends from here on may be the rest of this answer: none of it is read.
		p.drop(err)
		return gate.EvidenceResult{}, err
	}
	if err := budget.Reserve(ctx, budget.JSON().Of(answer)); err != nil {
		return gate.EvidenceResult{}, err
	}
	result, err := readAnswer(answer, id, p.AnyID)
	if errors.Is(err, errID) {
		p.drop(err)
		return gate.EvidenceResult{}, err
	}
	p.failures = 0
	return result, err
}

// ready is a process that can be asked: the one that runs, or a new one when it is time for it.
func (p *Program) ready() (*session, error) {
	if p.session != nil {
		early := p.session.unasked()
		if early == nil {
			return p.session, nil
		}
		p.drop(early)
		if errors.Is(early, errClosed) && time.Now().Before(p.notBefore) {
			return nil, early
		}
	}
	if time.Now().Before(p.notBefore) {
		return nil, fmt.Errorf("mcp process exited: %s", p.ending)
	}
	if err := p.start(); err != nil {
		p.Logger.Error("evidence provider cannot be started again", slog.Any("error", err))
		p.fail(time.Now(), false)
		p.ending = "not started"
		return nil, errSpawn
	}
	p.Logger.Info("evidence provider was started again", slog.Int("pid", p.session.command.PID()))
	return p.session, nil
}

// start runs the program. The error is for the operator: it names the program.
func (p *Program) start() error {
	command, err := launch.StartCommand(launch.Spec{Name: p.Name, Path: p.Path, Args: p.Args, Env: p.Env, Dir: p.Dir, Logger: p.Logger})
	if err != nil {
		return fmt.Errorf("%w: %w", errSpawn, err)
	}
	s := newSession(command)
	p.mu.Lock()
	p.session = s
	p.mu.Unlock()
	select {
	case <-p.stopped:
		return errors.Join(errStopped, s.end())
	default:
		return nil
	}
}

// drop ends the process and says why.
func (p *Program) drop(cause error) {
	if err := p.session.end(); err != nil {
		p.Logger.Error("evidence provider cannot be ended", slog.Any("error", err))
	}
	p.ending = ending(p.session.command.State())
	since, silent := p.session.silentSince()
	if !silent {
		since = time.Now()
	}
	p.fail(since, !errors.Is(cause, errClosed) && !errors.Is(cause, errExited))
	p.Logger.Warn("evidence provider has ended, or was ended", slog.Any("cause", cause), slog.String("ending", p.ending), slog.Int("failures", p.failures))
	p.mu.Lock()
	p.session = nil
	p.mu.Unlock()
}

// fail counts a failure. A program that we have ended, for the first time since its last answer, may start at once.
func (p *Program) fail(since time.Time, ours bool) {
	p.failures++
	delay := min(p.delay<<min(p.failures-1, maxDoublings), maxRestartDelay)
	if ours && p.failures == 1 {
		delay = 0
	}
	p.notBefore = since.Add(delay)
}
