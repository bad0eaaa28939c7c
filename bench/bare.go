package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// sample is what a host has stored for one run of a start and a decision: the bytes that the bare loop writes again.
type sample struct {
	schema []string
	// head, step1, step2 and mark are rows: key, sum and body.
	head, step1, step2, mark [3][]byte
	commit                   [3][]byte // id, digest and outcome
	fileSize                 int64
}

// barePoint is one measurement of the bare loop.
type barePoint struct {
	// Batch is the number of commits in a transaction.
	Batch   int     `json:"commits_per_transaction"`
	Commits int     `json:"commits"`
	Seconds float64 `json:"seconds"`
}

func (b barePoint) rate() float64 { return float64(b.Commits) / b.Seconds }

// takeSample reads a stopped host's database.
func takeSample(path string) (s sample, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	s.fileSize = info.Size()
	db, err := sqlite3.OpenFlags("file:"+path, sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	row := func(into *[3][]byte, where string) error {
		return each(db, `SELECT k, sha256, body FROM records WHERE `+where+` ORDER BY revision LIMIT 1`, func(r *sqlite3.Stmt) {
			*into = [3][]byte{r.ColumnBlob(0, nil), r.ColumnBlob(1, nil), r.ColumnBlob(2, nil)}
		})
	}
	const collection = `substr(k, 1, instr(k, x'00') - 1) = CAST('%s' AS BLOB)`
	err = errors.Join(
		row(&s.head, fmt.Sprintf(collection, "runs")),
		row(&s.step1, fmt.Sprintf(collection, "run_steps")),
		row(&s.mark, fmt.Sprintf(collection, "run_triggers")),
	)
	if err != nil || len(s.mark[0]) == 0 {
		return s, errors.Join(err, errors.New("the database holds no decision"))
	}
	// The decision's step is written right before its mark.
	err = row(&s.step2, fmt.Sprintf(`revision = (SELECT revision - 1 FROM records WHERE `+collection+` ORDER BY revision LIMIT 1)`, "run_triggers"))
	if err == nil {
		err = each(db, `SELECT id, ops, outcome FROM commits LIMIT 1`, func(r *sqlite3.Stmt) {
			s.commit = [3][]byte{r.ColumnBlob(0, nil), r.ColumnBlob(1, nil), r.ColumnBlob(2, nil)}
		})
	}
	if err == nil {
		err = each(db, `SELECT sql FROM sqlite_schema WHERE type IN ('table', 'index') AND sql IS NOT NULL ORDER BY rowid`, func(r *sqlite3.Stmt) {
			s.schema = append(s.schema, r.ColumnText(0))
		})
	}
	return s, err
}

func each(db *sqlite3.Conn, sql string, f func(*sqlite3.Stmt)) error {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	for stmt.Step() {
		f(stmt)
	}
	return errors.Join(stmt.Err(), stmt.Close())
}

// measureBare inserts the bytes of a point's commits in transactions of its mean size: no protocol, no checks, no reads, one
// goroutine, nothing to wait for but the disk.
func measureBare(o options, s sample, p point) (b barePoint, err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	loop, err := newBareLoop(filepath.Join(dir, "bare.db"), s)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, loop.close()) }()
	b = barePoint{Batch: max(1, int(p.Batch+0.5))}
	for deadline := time.Now().Add(warmUp); time.Now().Before(deadline); {
		if err := loop.transaction(b.Batch); err != nil {
			return b, err
		}
	}
	began := time.Now()
	for b.Seconds = 0; b.Seconds < o.seconds.Seconds(); b.Seconds = time.Since(began).Seconds() {
		if err := loop.transaction(b.Batch); err != nil {
			return b, err
		}
		b.Commits += b.Batch
	}
	return b, nil
}

// bareLoop writes starts and decisions in turn.
type bareLoop struct {
	sample
	db, copier             *sqlite3.Conn
	begin, end             *sqlite3.Stmt
	insert, update, commit *sqlite3.Stmt

	revision int64
	head     int64 // the row of the started run's head, 0 when the next commit is a start
	run      string
	copying  chan struct{}
	frames   int // of the log
}

// The log is kept as short as the plugin keeps it, or the loop would do less than a store that lasts: after so many new pages
// it is copied into the database in the background, and at so many it begins anew.
const (
	copyFrames    = 4000
	restartFrames = 16_000
)

// checksumBytes is the space at the end of each page from which the driver knows that it is for a checksum.
const checksumBytes = 8

func newBareLoop(path string, s sample) (*bareLoop, error) {
	l := &bareLoop{sample: s, copying: make(chan struct{}, 1)}
	var err error
	if l.db, err = sqlite3.Open("file:" + path + "?vfs=" + bareLayer); err != nil {
		return nil, err
	}
	// The file is as the plugin's: pages with checksums, and a log that is synced with each transaction. The log is copied by
	// a connection of its own, and begins anew when that is done.
	if _, err := l.db.FileControl("main", sqlite3.FCNTL_RESERVE_BYTES, checksumBytes); err != nil {
		return nil, err
	}
	const pragmas = `PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0`
	if err := l.db.Exec(pragmas); err != nil {
		return nil, err
	}
	for _, sql := range s.schema {
		if err := l.db.Exec(sql); err != nil {
			return nil, err
		}
	}
	if l.copier, err = sqlite3.Open("file:" + path + "?vfs=" + bareLayer); err != nil {
		return nil, err
	}
	if err := l.copier.Exec(`PRAGMA synchronous=FULL`); err != nil {
		return nil, err
	}
	for place, sql := range map[**sqlite3.Stmt]string{
		&l.begin: `BEGIN IMMEDIATE`, &l.end: `COMMIT`,
		&l.insert: `INSERT INTO records (revision, k, sha256, body) VALUES (?, ?, ?, ?)`,
		&l.update: `UPDATE records SET revision = ?, sha256 = ?, body = ? WHERE revision = ?`,
		&l.commit: `INSERT INTO commits (id, at, ops, outcome) VALUES (?, ?, ?, ?)`,
	} {
		if *place, _, err = l.db.Prepare(sql); err != nil {
			return nil, err
		}
	}
	since := 0
	l.db.WALHook(func(_ *sqlite3.Conn, _ string, frames int) error {
		l.frames = frames
		if frames < since {
			since = 0
		}
		if frames-since < copyFrames {
			return nil
		}
		since = frames
		select {
		case l.copying <- struct{}{}:
			go func() {
				_, _, _ = l.copier.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
				<-l.copying
			}()
		default:
		}
		return nil
	})
	return l, nil
}

func (l *bareLoop) close() error {
	l.copying <- struct{}{} // the copier has ended
	var errs []error
	for _, stmt := range []*sqlite3.Stmt{l.begin, l.end, l.insert, l.update, l.commit} {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, l.copier.Close(), l.db.Close())...)
}

func (l *bareLoop) transaction(commits int) error {
	if err := l.begin.Exec(); err != nil {
		return err
	}
	for range commits {
		if err := l.one(); err != nil {
			return err
		}
	}
	if err := l.end.Exec(); err != nil || l.frames < restartFrames {
		return err
	}
	l.copying <- struct{}{} // most of it is copied, as the plugin has it too
	_, _, err := l.db.WALCheckpoint("main", sqlite3.CHECKPOINT_RESTART)
	<-l.copying
	l.frames = 0
	return err
}

// one writes the rows of one commit: a start, or a decision on the run that was started last.
func (l *bareLoop) one() error {
	var err error
	if l.head == 0 {
		l.run = randomID()
		l.head = l.revision + 1
		err = errors.Join(l.put(l.sample.head), l.put(l.step1))
	} else {
		l.revision++
		err = errors.Join(l.update.BindInt64(1, l.revision), l.update.BindBlob(2, l.sample.head[1]), l.update.BindBlob(3, l.sample.head[2]), l.update.BindInt64(4, l.head))
		err = errors.Join(err, l.update.Exec(), l.put(l.step2), l.put(l.mark))
		l.head = 0
	}
	id := make([]byte, 16) // ordered by time, as the host's are
	for i, at := 0, time.Now().UnixMilli(); i < 6; i++ {
		id[5-i] = byte(at >> (8 * i))
	}
	_, _ = rand.Read(id[6:])
	return errors.Join(err, l.commit.BindBlob(1, id), l.commit.BindInt64(2, time.Now().Unix()), l.commit.BindBlob(3, l.sample.commit[1]), l.commit.BindBlob(4, l.sample.commit[2]), l.commit.Exec())
}

// put inserts a sampled row under a key of the same length that is of the current run.
func (l *bareLoop) put(row [3][]byte) error {
	l.revision++
	key := slices.Clone(row[0])
	// The run's id stands in the key as it is, after the collection and the scope.
	at := bytes.IndexByte(key, 0) + 1 + 16
	copy(key[at:], l.run)
	if len(row[0]) > at+len(l.run)+20 { // a mark's key ends in its own random id
		copy(key[at+len(l.run)+2:], randomID())
	}
	return errors.Join(l.insert.BindInt64(1, l.revision), l.insert.BindBlob(2, key), l.insert.BindBlob(3, row[1]), l.insert.BindBlob(4, row[2]), l.insert.Exec())
}
