// Package postgres is a store in a PostgreSQL database, for any number of hosts.
//
// All commits that wait are sent to the server as one statement, which applies them in one transaction and answers each.
// A row that every such transaction locks first puts them in order: revisions become visible as they were given, a change
// feed has no gaps, and batches cannot wait for each other. The user of the database sees one tenant at a time.
//
// The package refuses a server that may lose what it has committed and a user whom row-level security does not hold. It
// never changes a schema: that is the work of "store-postgres migrate up". It expects commits and keys within the limits of
// package store, as store.RegisterServer lets through.
package postgres

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Options say how to open a store.
type Options struct {
	// DSN is the connection string: a URL or the key=value form of libpq. It is secret.
	DSN string
	// MinimumTLS is the least protection of a connection that leaves the machine: "off", "encrypt" or "verify".
	MinimumTLS string
	// MaxConnections is the number of connections at most; the feed takes one more.
	MaxConnections int
	// StatementTimeout and LockTimeout bound one statement, and its wait for a lock, in the server.
	StatementTimeout, LockTimeout time.Duration
	// CommitIDLifetime is how long ids of commits are kept, at least store.CommitIDLifetime.
	CommitIDLifetime time.Duration
	// Pooler says that the connection goes through a pooler in transaction mode.
	Pooler bool
	// Logger is told of failures that no call can be told of. Nil discards them.
	Logger *slog.Logger
}

// Store is an open database. It implements store.Store.
type Store struct {
	options Options
	pool    *pgxpool.Pool
	queue   chan *request
	// careful is the number of batches to come that are not taken for new ones at first, see commit_fresh_v1.
	careful atomic.Int32
	work    work

	// closing ends the goroutines, stopped says that they have ended.
	closing chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
	// background ends with the goroutines.
	background context.Context
	cancel     context.CancelFunc

	// news wakes this process's followers, notify says that other processes' are to be woken.
	news   news
	notify chan struct{}
	// listening: notifications arrive.
	listening atomic.Bool
}

var _ store.Store = (*Store)(nil)

// Open connects and checks the server. Errors are for the operator and do not hold the dsn.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.CommitIDLifetime < store.CommitIDLifetime {
		return nil, fault.New(fault.Invalid, "commit_id_lifetime: %s is less than the %s that hosts rely on", options.CommitIDLifetime, store.CommitIDLifetime)
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := poolConfig(options)
	if err != nil {
		return nil, err
	}
	// The pool outlives the call.
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, classify(ctx, err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, classify(ctx, err)
	}
	s := &Store{options: options, pool: pool, queue: make(chan *request, queueLength), closing: make(chan struct{}), notify: make(chan struct{}, 1)}
	s.news.init()
	s.background, s.cancel = context.WithCancel(context.Background())
	for range writers {
		s.stopped.Go(s.write)
	}
	s.stopped.Go(s.sendNotifications)
	s.stopped.Go(s.expire)
	if !options.Pooler {
		s.stopped.Go(func() { s.listen(config.ConnConfig.Copy()) })
	}
	return s, nil
}

// Describe implements store.Store.
func (s *Store) Describe(ctx context.Context) (store.Description, error) {
	newest, err := s.newest(ctx)
	if err != nil {
		return store.Description{}, err
	}
	return store.Description{
		Changes:          true,
		MaxBodyBytes:     store.MaxBody,
		MaxOps:           store.MaxOps,
		MaxCommits:       store.MaxCommits,
		MaxKeys:          store.MaxKeys,
		CommitIDLifetime: s.options.CommitIDLifetime,
		Revision:         newest,
	}, nil
}

func (s *Store) newest(ctx context.Context) (newest uint64, err error) {
	err = s.reading(ctx, "newest", func(ctx context.Context) error {
		var revision int64
		err := s.pool.QueryRow(ctx, `SELECT revision FROM decision_gate.clock`).Scan(&revision)
		newest = uint64(revision)
		return err
	})
	return newest, err
}

// Health implements sdk.HealthChecker: it asks on a connection whether a commit would succeed now.
func (s *Store) Health(ctx context.Context) error {
	if s.closed() {
		return errClosed()
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return classify(ctx, err)
	}
	defer c.Release()
	return classify(ctx, checkServer(ctx, c.Conn()))
}

// Close ends the store: what is being written is finished, what waits is refused.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		stop := time.AfterFunc(closeTimeout, s.cancel)
		defer stop.Stop()
		s.stopped.Wait()
		s.cancel()
		s.pool.Close()
		s.options.Logger.Info("store closed", s.work.attrs()...)
	})
	return nil
}

// closeTimeout is what a batch that is being written gets when the store closes.
const closeTimeout = 3 * time.Second

func (s *Store) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// errClosed answers calls that come after Close.
func errClosed() error { return fault.New(fault.Unavailable, "the store is closed") }
