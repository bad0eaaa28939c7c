package catalog

import (
	"cmp"
	"context"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog/coalesce"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// maxJointBytes bounds the bodies of joint commits: eight messages' worth of waiting is slower than two calls.
const maxJointBytes = 8 << 20

// storeClient is a store.Store whose calls go to whichever process lives. Concurrent Gets share one RPC, and so do
// concurrent Commits: one of each is under way at a time.
type storeClient struct {
	plugin  *supervisor
	gets    coalesce.Caller[[]store.Key, []store.Record]
	commits coalesce.Caller[[]store.Commit, []store.Outcome]
}

func newStore(plugin *supervisor) store.Store {
	if plugin == nil {
		return nil
	}
	s := &storeClient{plugin: plugin}
	s.gets = coalesce.Caller[[]store.Key, []store.Record]{
		Limits: coalesce.Limits{Items: store.MaxKeys, Bytes: maxJointBytes},
		Cost:   func(keys []store.Key) (int, int) { return len(keys), 0 },
		Call:   s.getJointly,
		Alone:  oneAtFault,
	}
	s.commits = coalesce.Caller[[]store.Commit, []store.Outcome]{
		Limits: coalesce.Limits{Items: store.MaxCommits, Bytes: maxJointBytes},
		Cost:   func(commits []store.Commit) (int, int) { return len(commits), commitBytes(commits) },
		Call:   s.commitJointly,
		Alone:  oneAtFault,
	}
	return s
}

// oneAtFault is for errors that a single member of a joint call can cause. Trying each alone is safe: a Get reads, and a
// commit that has happened is known by its id.
func oneAtFault(err error) bool {
	switch fault.ReasonOf(err) {
	case fault.Invalid, fault.TooLarge, fault.Corrupt, fault.Internal:
		return true
	default:
		return false
	}
}

func commitBytes(commits []store.Commit) int {
	n := 0
	for _, c := range commits {
		for _, op := range c.Ops {
			n += len(op.Body)
			for _, segment := range op.Key.Path {
				n += len(segment)
			}
		}
	}
	return n
}

func (s *storeClient) Describe(ctx context.Context) (description store.Description, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().get)
	defer cancel()
	err = s.plugin.call(ctx, true, func(ctx context.Context, session *session) (err error) {
		description, err = session.store.Describe(ctx)
		return err
	})
	return description, err
}

func (s *storeClient) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if len(keys) > store.MaxKeys {
		return nil, fault.New(fault.TooLarge, "a Get of %d keys, more than %d", len(keys), store.MaxKeys)
	}
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().get)
	defer cancel()
	records, err := s.gets.Do(ctx, keys)
	return records, fromContext(ctx, err)
}

// fromContext gives the end of a caller's wait a reason.
func fromContext(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || fault.ReasonOf(err) != fault.ReasonOf(ctx.Err()) {
		return err
	}
	return fault.Wrap(fault.ReasonOf(err), err, "the store plugin has not answered in time")
}

func (s *storeClient) getJointly(ctx context.Context, requests [][]store.Key) ([][]store.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().get)
	defer cancel()
	var records []store.Record
	err := s.plugin.call(ctx, true, func(ctx context.Context, session *session) (err error) {
		records, err = session.store.Get(ctx, joined(requests))
		return err
	})
	if err != nil {
		return nil, err
	}
	return parted(requests, records)
}

func (s *storeClient) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	if len(commits) > store.MaxCommits {
		return nil, fault.New(fault.TooLarge, "a request of %d commits, more than %d", len(commits), store.MaxCommits)
	}
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().commit)
	defer cancel()
	outcomes, err := s.commits.Do(ctx, commits)
	return outcomes, fromContext(ctx, err)
}

// commitJointly sends commits again, with the same ids, when the plugin was away: those that happened answer as they
// did, and nothing happens twice.
func (s *storeClient) commitJointly(ctx context.Context, requests [][]store.Commit) ([][]store.Outcome, error) {
	// It goes on when its callers have left: what was sent may have happened, and then it must happen as a whole.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.plugin.pace.Load().commit)
	defer cancel()
	var outcomes []store.Outcome
	err := s.plugin.call(ctx, true, func(ctx context.Context, session *session) (err error) {
		outcomes, err = session.store.Commit(ctx, joined(requests))
		return err
	})
	if err != nil {
		return nil, err
	}
	return parted(requests, outcomes)
}

func joined[T any](requests [][]T) []T {
	if len(requests) == 1 {
		return requests[0]
	}
	var all []T
	for _, r := range requests {
		all = append(all, r...)
	}
	return all
}

// parted gives each request its answers. The number was checked by the client already; a slice out of range would end
// the host.
func parted[Req, Resp any](requests [][]Req, answers []Resp) ([][]Resp, error) {
	out := make([][]Resp, len(requests))
	for i, r := range requests {
		if len(answers) < len(r) {
			return nil, fmt.Errorf("a joint call has too few answers")
		}
		out[i], answers = answers[:len(r):len(r)], answers[len(r):]
	}
	return out, nil
}

// Scan is made again only while the caller has not seen a record. Waiting for a process ends as it does for a Get; a scan
// under way goes on as long as it moves.
func (s *storeClient) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	var (
		begun   bool
		stopped error // what the caller's function answered: neither the plugin's fault nor to be tried again
		failed  error // what the plugin answered after the first record
	)
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	defer cancel()
	err := s.plugin.call(ctx, true, func(ctx context.Context, session *session) error {
		err := session.store.Scan(ctx, scan, func(r store.Record) error {
			wait.busy()
			defer wait.heard()
			begun = true
			stopped = yield(r)
			return stopped
		})
		switch {
		case stopped != nil:
			return nil
		case begun:
			failed = err
			return nil
		default:
			return err
		}
	})
	s.plugin.report(failed)
	return cmp.Or(stopped, ended(ctx, cmp.Or(failed, err)))
}

// Changes follows one process; when that ends, so does Changes, and the caller begins again where it was.
func (s *storeClient) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	return s.ChangesOf(ctx, nil, after, yield)
}

// ChangesOf implements store.Selective.
func (s *storeClient) ChangesOf(ctx context.Context, collections []string, after uint64, yield func(store.ChangeSet) error) error {
	var stopped error
	err := s.plugin.call(ctx, false, func(ctx context.Context, session *session) error {
		// It never ends by itself, and the process waits for its calls when another takes its place.
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(session.retired, func() { cancel(errRetired) })()
		err := store.ChangesOf(ctx, session.store, collections, after, func(set store.ChangeSet) error {
			stopped = yield(set)
			return stopped
		})
		if stopped != nil {
			return nil
		}
		if context.Cause(ctx) == errRetired {
			return errRetired
		}
		return err
	})
	return cmp.Or(stopped, err)
}

// errRetired ends what follows a process for as long as it lives.
var errRetired = fault.New(fault.Unavailable, "another process has taken the place of the store plugin's")

// Close does nothing: the catalog ends the plugin.
func (s *storeClient) Close() error { return nil }
