package feed_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/host/internal/feed"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a store whose feed does what a test says, call by call.
type scripted struct {
	store.Store
	revision uint64
	alone    bool
	away     bool

	mu    sync.Mutex
	calls []string
	next  chan func(after uint64, yield func(store.ChangeSet) error) error
}

func (s *scripted) Describe(context.Context) (store.Description, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "describe")
	if s.away {
		return store.Description{}, fault.New(fault.Unavailable, "away")
	}
	return store.Description{Changes: !s.alone, Revision: s.revision}, nil
}

func (s *scripted) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprint("after ", after))
	s.mu.Unlock()
	select {
	case answer := <-s.next:
		return answer(after, yield)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listener notes what it is told.
type listener struct {
	collections []string
	mu          sync.Mutex
	told        []string
}

func (l *listener) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fmt.Sprintf(format, args...))
}

func (l *listener) Collections() []string       { return l.collections }
func (l *listener) Changed(change store.Change) { l.note("%s@%d", change.Key.Path[0], change.Revision) }
func (l *listener) Following(yes bool)          { l.note("following %v", yes) }

// expect waits until the listener was told so, and nothing else.
func (l *listener) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		l.mu.Lock()
		got = slices.Clone(l.told)
		l.mu.Unlock()
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("told %q, want %q", got, want)
}

func change(revision uint64, collection, id string) store.Change {
	return store.Change{Revision: revision, Key: store.Key{Collection: collection, Path: [][]byte{[]byte(id)}}}
}

func set(complete uint64, changes ...store.Change) store.ChangeSet {
	return store.ChangeSet{Changes: changes, Complete: complete}
}

// TestFeed goes through the life of a feed: it begins at the newest revision, goes on where it was when the plugin has been
// away, tells each subscriber of its own collections, and begins anew when the store has become an older one.
func TestFeed(t *testing.T) {
	s := &scripted{revision: 7, next: make(chan func(uint64, func(store.ChangeSet) error) error)}
	one, two := &listener{collections: []string{"scenarios"}}, &listener{collections: []string{"schemas", "members"}}
	var log bytes.Buffer
	f := feed.Open(s, slog.New(slog.NewTextHandler(&log, nil)), one, two)
	lost := fault.New(fault.Unavailable, "lost")
	s.next <- func(_ uint64, yield func(store.ChangeSet) error) error {
		_ = yield(set(7))
		_ = yield(set(9, change(8, "scenarios", "a"), change(9, "members", "b"), change(9, "runs", "c")))
		return lost
	}
	one.expect(t, "following false", "following true", "a@8", "following false")
	two.expect(t, "following false", "following true", "b@9", "following false")
	// Lost again before anything was told.
	s.next <- func(uint64, func(store.ChangeSet) error) error { return lost }
	s.next <- func(_ uint64, yield func(store.ChangeSet) error) error {
		_ = yield(set(12, change(12, "scenarios", "d")))
		s.mu.Lock()
		s.revision = 3
		s.mu.Unlock()
		return fault.New(fault.Invalid, "revision 12 is newer than the newest")
	}
	one.expect(t, "following false", "following true", "a@8", "following false", "d@12", "following true", "following false")
	s.next <- func(_ uint64, yield func(store.ChangeSet) error) error {
		if err := yield(set(3)); err != nil {
			return err
		}
		return lost
	}
	one.expect(t, "following false", "following true", "a@8", "following false", "d@12", "following true", "following false", "following true", "following false")
	f.Close()
	if got, want := s.calls[:5], []string{"describe", "after 7", "after 9", "after 9", "describe"}; !slices.Equal(got, want) || s.calls[5] != "after 3" {
		t.Errorf("asked %q, want %q and then after 3", s.calls, want)
	}
	if state := f.State(); state.Following || state.Revision != 3 {
		t.Errorf("the state is %+v", state)
	}
	for _, says := range []string{"are told", "not told for a time", "the store is older than it was"} {
		if !strings.Contains(log.String(), says) {
			t.Errorf("the log does not say %q: %s", says, log.String())
		}
	}
}

// A store that cannot be asked at first is asked again; one without a feed serves one host, whose caches may keep what they have.
func TestFeedOfOneHost(t *testing.T) {
	s := &scripted{alone: true, away: true}
	l := &listener{}
	f := feed.Open(s, slog.New(slog.DiscardHandler), l)
	l.expect(t, "following false")
	time.Sleep(30 * time.Millisecond)
	s.mu.Lock()
	s.away = false
	s.mu.Unlock()
	l.expect(t, "following false", "following true")
	if !f.State().Alone {
		t.Errorf("the state is %+v", f.State())
	}
	f.Close()
}
