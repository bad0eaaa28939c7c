package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// conn is the seam to the driver: every other file of this package speaks SQL only through conn, stmt and row, so that
// another driver is one file away. A conn serves one goroutine at a time.
type conn struct {
	db *sqlite3.Conn
}

type connMode int

const (
	readWrite connMode = iota
	readOnly
)

// openConn opens the file at an absolute path. The file must exist: who creates it decides on its mode.
func openConn(path, vfs string, mode connMode, busy time.Duration) (*conn, error) {
	flags := sqlite3.OPEN_READWRITE
	if mode == readOnly {
		flags = sqlite3.OPEN_READONLY
	}
	// The path is escaped: a "?" in it would let it carry SQLite options that weaken durability, such as "nolock" or
	// "_pragma". Only tests name a VFS.
	query := url.Values{"vfs": {cmp.Or(vfs, systemLayer)}}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	db, err := sqlite3.OpenFlags(name.String(), flags|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	c := &conn{db: db}
	if err := c.harden(busy); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// harden takes from the file what it could make us run: triggers and functions in its schema. A page whose cells are
// out of bounds is reported as corrupt when it is read, not when it is too late.
func (c *conn) harden(busy time.Duration) error {
	if err := c.db.BusyTimeout(busy); err != nil {
		return err
	}
	if _, err := c.db.Config(sqlite3.DBCONFIG_ENABLE_TRIGGER, false); err != nil {
		return err
	}
	if _, err := c.db.Config(sqlite3.DBCONFIG_DEFENSIVE, true); err != nil {
		return err
	}
	return c.db.Exec(`PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON`)
}

// close ends the connection and what it has prepared.
func (c *conn) close() error {
	c.db.SetInterrupt(context.Background())
	var errs []error
	for _, stmt := range slices.Collect(c.db.Stmts()) { // Closing one takes it off the list.
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.db.Close())...)
}

// interruptOn makes statements fail once ctx has ended.
func (c *conn) interruptOn(ctx context.Context) { c.db.SetInterrupt(ctx) }

func (c *conn) busyTimeout(d time.Duration) error { return c.db.BusyTimeout(d) }

func (c *conn) exec(sql string) error { return c.db.Exec(sql) }

// useChecksums has a new file keep a checksum in every page, which the driver checks whenever it reads one. Without it a byte
// that has changed in a tree of keys hides a record: a trigger would be decided again because its mark is not found.
func (c *conn) useChecksums() error {
	const checksumBytes = 8 // the size of which the driver knows that it is one
	_, err := c.db.FileControl("main", sqlite3.FCNTL_RESERVE_BYTES, checksumBytes)
	return err
}

// inTransaction says whether a transaction is open: SQLite ends one by itself after some errors.
func (c *conn) inTransaction() bool { return !c.db.GetAutocommit() }

// onLogged calls f after each transaction with the number of frames in the write-ahead log.
func (c *conn) onLogged(f func(frames int)) {
	c.db.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		f(pages)
		return nil
	})
}

// checkpoint copies the log into the database and answers how many frames the log has and how many are copied.
// With restart it waits for readers, so that the log begins anew with the next transaction.
func (c *conn) checkpoint(restart bool) (frames, copied int, err error) {
	mode := sqlite3.CHECKPOINT_PASSIVE
	if restart {
		mode = sqlite3.CHECKPOINT_RESTART
	}
	return c.db.WALCheckpoint("main", mode)
}

// emptyLog copies the whole log into the open database file and cuts the log to nothing.
func (c *conn) emptyLog() error {
	_, _, err := c.db.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	return err
}

func (c *conn) prepare(sql string) (*stmt, error) {
	s, _, err := c.db.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	return &stmt{s: s}, nil
}

// prepareAll prepares each text into its place.
func (c *conn) prepareAll(texts map[**stmt]string) error {
	for place, text := range texts {
		s, err := c.prepare(text)
		if err != nil {
			return err
		}
		*place = s
	}
	return nil
}

// number answers the single integer of a query.
func (c *conn) number(sql string) (n int64, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	err = s.each(func(r row) (bool, error) {
		n = r.integer(0)
		return false, nil
	})
	return n, errors.Join(err, s.s.Close())
}

// text answers the single text of a query, "" when there is no row.
func (c *conn) text(sql string) (text string, err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return "", err
	}
	err = s.each(func(r row) (bool, error) {
		text = string(r.blob(0))
		return false, nil
	})
	return text, errors.Join(err, s.s.Close())
}

// stmt is a prepared statement.
type stmt struct {
	s *sqlite3.Stmt
}

// largeBinding is the size in bytes from which a binding is dropped after use: SQLite keeps bound values otherwise, and a
// few bodies of the largest size would hold the connection's memory for good.
const largeBinding = 64 << 10

// run executes a statement that answers no rows.
func (s *stmt) run(args ...any) error {
	large, err := s.bind(args)
	if err != nil {
		return err
	}
	err = s.s.Exec()
	if large {
		return errors.Join(err, s.s.ClearBindings())
	}
	return err
}

// each executes a query and calls f with its rows until f answers false or an error.
func (s *stmt) each(f func(row) (bool, error), args ...any) error {
	if _, err := s.bind(args); err != nil {
		return err
	}
	for s.s.Step() {
		more, err := f(row{s: s.s})
		if err == nil {
			// A column that could not be read, as from a corrupt page, is told here only.
			err = s.s.Err()
		}
		if err != nil || !more {
			_ = s.s.Reset() // Repeats the error of the last step, which is told already.
			return err
		}
	}
	err := s.s.Err()
	_ = s.s.Reset()
	return err
}

// bind takes int64, []byte and nil.
func (s *stmt) bind(args []any) (large bool, err error) {
	for i, arg := range args {
		switch v := arg.(type) {
		case nil:
			err = s.s.BindNull(i + 1)
		case int64:
			err = s.s.BindInt64(i+1, v)
		case []byte:
			if v == nil {
				v = []byte{} // An empty body is not NULL: NULL marks a removed record.
			}
			large = large || len(v) >= largeBinding
			err = s.s.BindBlob(i+1, v)
		default:
			err = fmt.Errorf("bind: a %T is neither int64 nor []byte", arg)
		}
		if err != nil {
			return large, err
		}
	}
	return large, nil
}

// row is the current row of a query, valid until the next.
type row struct {
	s *sqlite3.Stmt
}

func (r row) integer(column int) int64 { return r.s.ColumnInt64(column) }

// blob is a copy of the column's bytes.
func (r row) blob(column int) []byte { return r.s.ColumnBlob(column, nil) }

// raw is the column's bytes, which the next use of the statement overwrites.
func (r row) raw(column int) []byte { return r.s.ColumnRawBlob(column) }
