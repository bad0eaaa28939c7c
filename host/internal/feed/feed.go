// Package feed tells those who keep something of what is stored, when it was changed, by whichever host on the same store: it
// follows the store's changes, goes on where it was when the plugin or the database came back, and says so while it cannot.
package feed

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// firstPause and longestPause bound the wait before following anew: a plugin is back in less than a second.
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// Subscriber keeps something of what is stored. Its methods are called one at a time, and must not wait for the store.
type Subscriber interface {
	// Collections are those whose changes it wants.
	Collections() []string
	// Changed tells of a record that was written or removed.
	Changed(store.Change)
	// Following says whether changes are told from now on. Until the first call, and after a false, nothing that is read may
	// be kept; with each call, what was kept is to be forgotten, because changes may have been missed.
	Following(yes bool)
}

// State says how current the subscribers are.
type State struct {
	// Following: changes are told as they happen. Without it subscribers keep nothing, and each call asks the store.
	Following bool
	// Revision is that of the store up to which everything was told.
	Revision uint64
	// Alone: the store has no feed of changes and serves one host.
	Alone bool
}

// Feed follows a store. It is safe for concurrent use.
type Feed struct {
	store       store.Store
	subscribers []Subscriber
	collections []string
	logger      *slog.Logger
	stop        context.CancelFunc
	done        chan struct{}

	mu    sync.Mutex
	state State
	// placed: the state's revision is one of this store, from which to follow.
	placed bool
}

// Open begins to follow a store in the background, until Close. A store that cannot be asked yet is asked again.
func Open(s store.Store, logger *slog.Logger, subscribers ...Subscriber) *Feed {
	ctx, stop := context.WithCancel(context.Background())
	f := &Feed{store: s, subscribers: subscribers, logger: logger, stop: stop, done: make(chan struct{})}
	f.each(func(s Subscriber) {
		s.Following(false)
		f.collections = append(f.collections, s.Collections()...)
	})
	go f.run(ctx)
	return f
}

// Close ends the feed. Subscribers are told that nothing is followed any more.
func (f *Feed) Close() {
	f.stop()
	<-f.done
}

// State answers how current the subscribers are.
func (f *Feed) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *Feed) run(ctx context.Context) {
	defer close(f.done)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := f.follow(ctx)
		if f.State().Alone {
			f.each(func(s Subscriber) { s.Following(true) })
			return
		}
		if f.set(func(s *State) { s.Following = false }).Following {
			pause = firstPause
			f.each(func(s Subscriber) { s.Following(false) })
			if ctx.Err() == nil {
				f.logger.Warn("changes by other hosts are not told for a time; nothing is kept in memory until they are", "revision", f.State().Revision, "error", err.Error())
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// follow follows until something breaks.
func (f *Feed) follow(ctx context.Context) error {
	if !f.placed {
		if err := f.place(ctx); err != nil {
			return err
		}
	}
	err := store.ChangesOf(ctx, f.store, f.collections, f.State().Revision, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			f.each(func(s Subscriber) {
				if slices.Contains(s.Collections(), change.Key.Collection) {
					s.Changed(change)
				}
			})
		}
		before := f.set(func(s *State) { s.Following, s.Revision = true, max(s.Revision, set.Complete) })
		if !before.Following {
			f.each(func(s Subscriber) { s.Following(true) })
			f.logger.Info("changes by other hosts are told", "revision", set.Complete)
		}
		return nil
	})
	if fault.Is(err, fault.Invalid) {
		// The store has less than was told of it.
		f.placed = false
		f.logger.Warn("the store is older than it was, as after a restore or a failover that lost commits: what was kept of it is read again", "revision", f.State().Revision)
	}
	return err
}

var errAlone = errors.New("the store has no feed of changes")

// place finds the revision from which to follow: nothing is kept of what was read before.
func (f *Feed) place(ctx context.Context) error {
	description, err := f.store.Describe(ctx)
	if err != nil {
		return err
	}
	if !description.Changes {
		f.set(func(s *State) { s.Alone = true })
		return errAlone
	}
	f.set(func(s *State) { s.Revision = description.Revision })
	f.placed = true
	return nil
}

// set changes the state and answers what it was.
func (f *Feed) set(change func(*State)) (before State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state
	change(&f.state)
	return before
}

func (f *Feed) each(tell func(Subscriber)) {
	for _, s := range f.subscribers {
		tell(s)
	}
}
