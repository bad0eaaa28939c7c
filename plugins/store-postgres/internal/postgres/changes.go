package postgres

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// channel is what hosts on one database wake each other on.
	channel = "decision_gate"
	// notifyEvery is the pause between notifications of this process, and restBetweenLooks that between looks of a follower:
	// under load one look then tells of many commits, and the feed costs the database no more than a few commits do.
	notifyEvery      = 20 * time.Millisecond
	restBetweenLooks = 20 * time.Millisecond
	// pollListening is how long a follower waits for a notification: one may be lost with its sender.
	pollListening = 500 * time.Millisecond
	// pollDeaf is the same where no notifications arrive.
	pollDeaf = 100 * time.Millisecond
	// restOfCaches is the same for a follower of some collections, which keeps things in memory and has a second to drop them.
	restOfCaches = 100 * time.Millisecond
	// lookTimeout bounds one look, so that a connection that is silently gone does not silence the feed with it.
	lookTimeout = 5 * time.Second
	// listenTimeout bounds the wait on the listening connection, so that a dead one is found.
	listenTimeout = 15 * time.Second
)

// news wakes followers.
type news struct {
	mu   sync.Mutex
	next chan struct{}
}

func (n *news) init() { n.next = make(chan struct{}) }

// wait is closed at the next tell.
func (n *news) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}

// tell wakes this process's followers, and soon those of others.
func (s *Store) tell() {
	s.news.tell()
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// sendNotifications wakes other processes on the database, seldom: a notification in each commit's transaction would make
// them all wait for one more lock, and one that is lost costs a follower half a second.
func (s *Store) sendNotifications() {
	for {
		select {
		case <-s.notify:
		case <-s.closing:
			return
		}
		if err := s.notifyOthers(); err != nil {
			s.options.Logger.Warn("other hosts could not be notified; they look by themselves", "error", fmt.Sprint(classify(s.background, err)))
		}
		if s.sleep(s.background, notifyEvery) != nil {
			return
		}
	}
}

func (s *Store) notifyOthers() error {
	ctx, cancel := context.WithTimeout(s.background, lookTimeout)
	defer cancel()
	_, err := s.pool.Exec(ctx, `SELECT pg_notify($1, '')`, channel)
	return err
}

// listen has a connection of its own, and makes a new one as often as it is lost.
func (s *Store) listen(config *pgx.ConnConfig) {
	ctx, cancel := context.WithCancel(s.background)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		select {
		case <-s.closing:
		case <-ctx.Done():
		}
		cancel()
	}()
	defer func() { cancel(); <-stop }()
	for n := 1; !s.closed(); n++ {
		heard, err := s.listenOnce(ctx, config)
		s.listening.Store(false)
		if s.closed() {
			return
		}
		s.options.Logger.Warn("the connection for notifications was lost; followers look by themselves until there is another", "error", fmt.Sprint(classify(ctx, err)))
		if heard {
			n = 1
		}
		if s.sleep(ctx, backoff(n)) != nil {
			return
		}
	}
}

// listenOnce listens until the connection is lost. heard says that it worked at first.
func (s *Store) listenOnce(ctx context.Context, config *pgx.ConnConfig) (heard bool, err error) {
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, err
	}
	defer func() {
		// The context may have ended; the server is to learn that nobody listens any more.
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx)
	}()
	if _, err := c.Exec(ctx, `LISTEN `+channel); err != nil {
		return false, err
	}
	s.listening.Store(true)
	// What was told while nobody listened.
	s.news.tell()
	for {
		err := func() error {
			wait, cancel := context.WithTimeout(ctx, listenTimeout)
			defer cancel()
			_, err := c.WaitForNotification(wait)
			return err
		}()
		switch {
		case err == nil:
			s.news.tell()
		case ctx.Err() != nil || c.IsClosed():
			return true, err
		default:
			// Quiet for long: is there still a server?
			if err := ping(ctx, c); err != nil {
				return true, err
			}
		}
	}
}

func ping(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return c.Ping(ctx)
}

// Changes implements store.Store. Revisions are given under a lock that is held until they are visible, so they become
// visible in order, and a snapshot that holds one holds all before it: what a look has told is complete.
func (s *Store) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	return s.ChangesOf(ctx, nil, after, yield)
}

// ChangesOf implements store.Selective: it looks into the tables of the collections alone.
func (s *Store) ChangesOf(ctx context.Context, collections []string, after uint64, yield func(store.ChangeSet) error) error {
	from, rest := numbersOf(collections), restBetweenLooks
	if len(collections) > 0 {
		rest = restOfCaches
	}
	for first := true; ; first = false {
		// Taken before the look, so that no commit falls between look and wait.
		wake := s.news.wait()
		set, newest, more, err := s.changed(ctx, from, after)
		if err != nil {
			return err
		}
		if after > newest {
			// The reader's store had more than this one: following would miss everything up to where it was.
			return fault.New(fault.Invalid, "revision %d is newer than the newest, %d: the reader has seen another database or one from before a restore; read everything again", after, newest)
		}
		if len(set.Changes) > 0 || set.Complete > after || first {
			if err := yield(set); err != nil {
				return err
			}
			after = set.Complete
		}
		if more {
			continue
		}
		if err := s.pause(ctx, wake, rest); err != nil {
			return err
		}
	}
}

// pause waits until there may be something new.
func (s *Store) pause(ctx context.Context, wake <-chan struct{}, rest time.Duration) error {
	poll := pollDeaf
	if s.listening.Load() {
		poll = pollListening
	}
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-wake:
		return s.sleep(ctx, rest)
	case <-timer.C:
	case <-s.closing:
		return errClosed()
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
	return nil
}

const changesSQL = `SELECT out_revision, out_table, out_collection, out_tenant, out_namespace, out_k, out_removed FROM decision_gate.changes_v1($1, $2, $3)`

// changed reads the changes after a revision in some tables; more says that the page is full.
func (s *Store) changed(ctx context.Context, from []int16, after uint64) (set store.ChangeSet, newest uint64, more bool, err error) {
	if after > math.MaxInt64 {
		newest, err = s.newest(ctx)
		return set, newest, false, err
	}
	err = s.reading(ctx, "changes", func(ctx context.Context) error {
		set = store.ChangeSet{}
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		rows, err := s.pool.Query(ctx, changesSQL, int64(after), int64(pageRecords), from)
		if err != nil {
			return err
		}
		set, newest, err = readChanges(rows)
		return err
	})
	if err != nil {
		return set, 0, false, err
	}
	set.Complete = max(after, newest)
	if more = len(set.Changes) == pageRecords; more {
		// The page may end amid a commit. No commit fills a page, so something is left.
		last := set.Changes[len(set.Changes)-1].Revision
		for set.Changes[len(set.Changes)-1].Revision == last {
			set.Changes = set.Changes[:len(set.Changes)-1]
		}
		set.Complete = last - 1
	}
	return set, newest, more, nil
}

func readChanges(rows pgx.Rows) (set store.ChangeSet, newest uint64, err error) {
	var revision int64
	var number *int16
	var collection *string
	var tenant, namespace *int64
	var path []byte
	var removed *bool
	_, err = pgx.ForEachRow(rows, []any{&revision, &number, &collection, &tenant, &namespace, &path, &removed}, func() error {
		if number == nil {
			newest = uint64(revision)
			return nil
		}
		key, err := place{table: *number, collection: *collection, tenant: *tenant, namespace: *namespace, path: path}.key()
		if err != nil {
			return err
		}
		set.Changes = append(set.Changes, store.Change{Revision: uint64(revision), Key: key, Deleted: *removed})
		return nil
	})
	return set, newest, err
}
