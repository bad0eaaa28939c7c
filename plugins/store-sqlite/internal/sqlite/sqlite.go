// Package sqlite is a store in one SQLite file, for one or a few host processes on one machine.
//
// All commits that wait are written as one transaction, which is synced before any of them is answered; readers have
// connections of their own and never wait for the writer. The package refuses to run without the write-ahead log and
// full syncs, and nothing that an operator can set weakens that.
//
// It expects commits and keys within the limits of package store, as store.RegisterServer lets through.
package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// readers is the number of reading connections: one for each of a small machine's cores and as many again, so that a
// page of large bodies does not hold up every small read.
const readers = 4

// Options say where and how to open a store.
type Options struct {
	// Path of the database file. Its folder must exist; an absent file is created.
	Path string
	// BusyTimeout is how long to wait for a lock of another process.
	BusyTimeout time.Duration
	// CommitIDLifetime is how long ids of commits are kept, at least store.CommitIDLifetime.
	CommitIDLifetime time.Duration
	// Logger is told of failures that no call can be told of. Nil discards them.
	Logger *slog.Logger
	// VFS names a registered file layer of the driver, for tests of failing disks. Empty is the operating system.
	VFS string
}

// Store is an open database. It implements store.Store.
type Store struct {
	options Options
	writer  *writer
	pool    chan *reader

	// closing ends the goroutines, stopped says that they have ended.
	closing chan struct{}
	stopped sync.WaitGroup
	once    sync.Once

	news news
	work work

	// files must stay where they are for as long as the store acknowledges commits.
	files openFiles
	// full: a commit met a full disk, and probe, which is probeSpace outside of tests, has not succeeded since.
	full  atomic.Bool
	probe func(dir string) error
}

var _ store.Store = (*Store)(nil)

// Open opens or creates the file. Errors name the path and what to do: they are for the operator who configured it.
func Open(ctx context.Context, options Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, classify(ctx, err)
	}
	if options.Path == "" {
		return nil, fault.New(fault.Invalid, "path: it is empty; name the database file")
	}
	if options.CommitIDLifetime < store.CommitIDLifetime {
		return nil, fault.New(fault.Invalid, "commit_id_lifetime: %s is less than the %s that hosts rely on", options.CommitIDLifetime, store.CommitIDLifetime)
	}
	path, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "path: %q cannot be made absolute", options.Path)
	}
	options.Path = path
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	s := &Store{options: options, pool: make(chan *reader, readers), closing: make(chan struct{}), probe: probeSpace}
	s.news.init()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closeConns())
	}
	s.stopped.Go(s.writer.loop)
	s.stopped.Go(s.writer.checkpoints.loop)
	return s, nil
}

// open opens all connections; what it has opened when it fails, closeConns closes.
func (s *Store) open() error {
	before, err := os.Stat(s.options.Path)
	if err != nil {
		return refuseFile(s.options.Path, err)
	}
	if err := checkLog(s.options.Path); err != nil {
		return err
	}
	c, err := openConn(s.options.Path, s.options.VFS, readWrite, s.options.BusyTimeout)
	if err != nil {
		return refuseFile(s.options.Path, err)
	}
	s.writer = newWriter(s, c)
	if err := prepareFile(c, s.options.Path, s.options.BusyTimeout); err != nil {
		return err
	}
	if err := s.writer.prepare(); err != nil {
		return refuseFile(s.options.Path, err)
	}
	for range readers {
		r, err := newReader(s.options)
		if err != nil {
			return refuseFile(s.options.Path, err)
		}
		s.pool <- r
	}
	s.writer.checkpoints, err = newCheckpointer(s)
	if err != nil {
		return refuseFile(s.options.Path, err)
	}
	s.files, err = findFiles(s.options.Path, before)
	return err
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

// Close ends the store: what is being written is finished, what waits is refused.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		s.stopped.Wait()
		err = s.closeConns()
		s.options.Logger.Info("store closed", s.work.attrs()...)
	})
	return classify(context.Background(), err)
}

// closeConns closes the readers, waiting for calls in flight, and the writer last: the last connection of a file copies
// the log into it, which only a writing one can.
func (s *Store) closeConns() error {
	var errs []error
	if s.writer == nil {
		return nil
	}
	// While open is failing the pool is not full; afterwards every reader comes back to it.
	opened := len(s.pool)
	if s.writer.checkpoints != nil {
		opened = readers
		errs = append(errs, s.writer.checkpoints.conn.close())
	}
	for range opened {
		errs = append(errs, (<-s.pool).close())
	}
	if s.files.replaced() {
		// SQLite leaves the log of a file that has moved as it is, and would apply it to the replacement, and so damage it,
		// when that is opened. The commits in the log belong into the file that was replaced.
		errs = append(errs, s.writer.emptyLog())
	}
	return errors.Join(append(errs, s.writer.conn.close())...)
}

// errClosed answers calls that come after Close.
func errClosed() error { return fault.New(fault.Unavailable, "the store is closed") }
