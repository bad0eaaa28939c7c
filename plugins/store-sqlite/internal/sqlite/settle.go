package sqlite

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// settle makes durable what SQLite recovers from the log of a process that was killed: its last transactions may have
// been written and not synced. A repeat of such a commit would be answered from the record of its id, without a sync of
// its own. The log is copied, not only synced: after a failed sync the kernel may call pages clean that are not on disk.
// It is cut then, or such pages, missing after a crash, would lay an older state over what was copied.
func (s *Store) settle() error {
	w := s.writer
	log, err := w.log()
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(s.options.Path)
	if err != nil {
		return err
	}
	mark, err := openMark(target)
	if err != nil {
		return err
	}
	s.syncer = &syncer{log: log, mark: mark}
	newest, err := w.newestRevision()
	if err != nil {
		return err
	}
	if err := s.syncer.sync(); err != nil {
		return err
	}
	if err := s.cutLog(); err != nil {
		return s.refuseSync(err)
	}
	return s.syncer.now(newest)
}

// cutLog waits for other processes, which may be copying the log themselves, and for their readers. Without it a process that
// has met a failed sync, and still has the file open, could leave us commits that are not on the disk.
func (s *Store) cutLog() error {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(s.options.BusyTimeout); ; time.Sleep(pause) {
		err := s.writer.emptyLog()
		if !errors.Is(err, sqlite3.BUSY) || time.Now().After(deadline) {
			return err
		}
	}
}

// refuseSync ends what waits for syncs when SQLite itself, copying the log, has met one that failed: it would try again, and
// believe the kernel.
func (s *Store) refuseSync(err error) error {
	if errors.Is(err, sqlite3.IOERR_FSYNC) {
		return s.syncer.fail(err)
	}
	return err
}
