package sqlite

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// copyFrames is the number of new frames (4 KiB each) of the log after which they are copied into the database in
	// the background: a few hundred commits.
	copyFrames = 4000
	// restartFrames is the length of the log from which the writer makes it start anew. A background copy alone never
	// does so under load, and the log would grow without end.
	restartFrames = 16_000
	// restartWait is how long the writer waits for readers of the old log. A page of Scan takes less; whoever takes more
	// is waited for again later.
	restartWait = 100 * time.Millisecond
)

// checkpointer keeps the write-ahead log short: it copies it into the database in the background, on a connection of
// its own, and lets the writer restart it between two transactions, when most of it is copied and the wait is short.
type checkpointer struct {
	conn   *conn
	busy   time.Duration
	logger *slog.Logger

	// frames is the length of the log, known from the writer's last transaction; copied is how many of them are copied.
	frames, copied atomic.Int64
	wake           chan struct{}
	// gone is closed when the writer has ended.
	gone <-chan struct{}
	// started and tried are the lengths of the log at the last copy and the last restart; the writer alone uses them.
	started, tried int
}

func newCheckpointer(s *Store) (*checkpointer, error) {
	c, err := openConn(s.options.Path, s.options.VFS, readWrite, s.options.BusyTimeout)
	if err != nil {
		return nil, err
	}
	k := &checkpointer{conn: c, busy: s.options.BusyTimeout, logger: s.options.Logger, wake: make(chan struct{}, 1), gone: s.writer.gone}
	s.writer.onLogged(k.logged)
	// The copy is synced too, before the log may be overwritten.
	if err := c.exec(`PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0`); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return k, nil
}

// logged is called by the writer after each transaction.
func (k *checkpointer) logged(frames int) {
	k.frames.Store(int64(frames))
	if frames < k.started {
		k.started, k.tried = 0, 0
		k.copied.Store(0)
	}
	if frames-k.started < copyFrames {
		return
	}
	k.started = frames
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// loop is the checkpointer's goroutine. It ends with the writer.
func (k *checkpointer) loop() {
	for {
		select {
		case <-k.gone:
			return
		case <-k.wake:
		}
		_, copied, err := k.conn.checkpoint(false)
		if ignoreBusy(err) != nil {
			// The log grows until this works again, and nobody's call fails of it.
			k.logger.Error("copying the write-ahead log into the database failed; free disk space or look at the disk", "error", classify(context.Background(), err))
			continue
		}
		k.copied.Store(int64(max(copied, 0)))
	}
}

// maybeRestart is called by the writer between transactions.
func (k *checkpointer) maybeRestart(writer *conn) {
	frames, copied := int(k.frames.Load()), int(k.copied.Load())
	// What is left is copied with everybody waiting: let the background do most of it first, up to a point.
	late := frames >= 4*restartFrames
	if frames < restartFrames || frames-k.tried < copyFrames && k.tried > 0 || frames-copied > restartFrames/2 && !late {
		return
	}
	k.tried = frames
	err := errors.Join(writer.busyTimeout(restartWait), ignoreRestart(writer), writer.busyTimeout(k.busy))
	if err != nil {
		k.logger.Error("restarting the write-ahead log failed; free disk space or look at the disk", "error", classify(context.Background(), err))
	}
}

func ignoreRestart(writer *conn) error {
	_, _, err := writer.checkpoint(true)
	return ignoreBusy(err)
}
