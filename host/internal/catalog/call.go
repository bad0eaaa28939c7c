package catalog

import (
	"context"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// call makes a call on the process that lives now, waiting for one until ctx ends. With again it is made again on errors
// that pass: such a call reads, or it carries an id by which the plugin knows it.
func (s *supervisor) call(ctx context.Context, again bool, do func(context.Context, *session) error) error {
	var last error
	pace := s.pace.Load()
	for pause := pace.retry; ; pause = min(2*pause, pace.maxRetry) {
		session, err := s.await(ctx)
		if err != nil {
			// What the plugin said before it went away tells more.
			if last != nil {
				return last
			}
			return err
		}
		last = do(ctx, session)
		s.release(session)
		if last == nil {
			return nil
		}
		s.report(last)
		reason := fault.ReasonOf(last)
		if !again || (reason != fault.Unavailable && reason != fault.Deadline) || !sleep(ctx, jitter(pause)) {
			return last
		}
	}
}

// await is the session that lives now, or the next one, which is held until release: a process that is replaced ends only
// after the calls that it has. It does not wait for a plugin that has died too often.
func (s *supervisor) await(ctx context.Context) (*session, error) {
	for {
		s.mu.Lock()
		session, changed := s.session, s.changed
		state, why := s.state()
		if session != nil && state != Stopped {
			session.calls++
		}
		s.mu.Unlock()
		switch {
		case state == Stopped, session == nil && state == Degraded:
			return nil, s.unavailable(why)
		case session != nil:
			return session, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, s.unavailable(why)
		}
	}
}

// hold keeps a session beyond the call in which it is made, for what only this process knows; release ends that.
func (s *supervisor) hold(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.calls++
}

// release ends a call of a session, or what it was held for.
func (s *supervisor) release(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.calls--
	session.rest()
}

// rest notices that a retired session has nothing to do any more. It is called with the supervisor's lock held.
func (s *session) rest() {
	if s.retired.Err() != nil && s.calls == 0 {
		close(s.idle)
	}
}

func (s *supervisor) unavailable(why string) error {
	return fault.New(fault.Unavailable, "the %s plugin is away: %s", s.program.plugin.Kind, why)
}

// patience ends a context when nothing has happened for a time: a stream may be as long as it likes, but not silent.
type patience struct {
	timer   *time.Timer
	silence time.Duration
}

// withPatience returns a context that ends after a silence, and what restarts the wait.
func withPatience(ctx context.Context, silence time.Duration) (context.Context, *patience, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{silence: silence, timer: time.AfterFunc(silence, func() { cancel(errSilence) })}
	return ctx, p, func() {
		p.timer.Stop()
		cancel(nil)
	}
}

var errSilence = fault.New(fault.Deadline, "the plugin has sent nothing for too long")

// heard restarts the wait; busy stops it while the host itself is at work.
func (p *patience) heard() { p.timer.Reset(p.silence) }
func (p *patience) busy()  { p.timer.Stop() }

// ended is err, or the silence that caused it.
func ended(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errSilence {
		return errSilence
	}
	return err
}
