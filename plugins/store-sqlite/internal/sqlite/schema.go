package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

const (
	// applicationID marks a file as ours: "DGst" in the file's header.
	applicationID = 0x44477374
	// schemaVersion is the layout below, with a checksum on every page. A file with a higher one was written by a later
	// plugin.
	schemaVersion = 2
)

// table names one table and its text, which is compared with what the file holds: SQLite keeps it byte for byte.
type table struct{ name, sql string }

// tables is the layout.
//
// A record's row is keyed by its revision, not by its key: rows are then appended, which keeps large bodies out of the
// tree of keys, and the change feed is a scan by row number. An update moves the row to its new revision. A removed
// record keeps a row without sum and body, so that the feed can tell of it and revisions never repeat.
//
// The id of a commit is kept in the tree itself; ids ordered by time are appended to it.
var tables = []table{
	{"records", `CREATE TABLE records (
	revision INTEGER PRIMARY KEY,
	k BLOB NOT NULL UNIQUE,
	sha256 BLOB,
	body BLOB
)`},
	{"commits", `CREATE TABLE commits (
	id BLOB PRIMARY KEY,
	at INTEGER NOT NULL,
	ops BLOB NOT NULL,
	outcome BLOB NOT NULL
) WITHOUT ROWID`},
	{"commits_at", `CREATE INDEX commits_at ON commits (at)`},
	// For people with SQL: a key is the collection, a NUL, tenant and namespace as 8 bytes each, then the path.
	{"live", `CREATE VIEW live AS SELECT
	revision,
	CAST(substr(k, 1, instr(k, x'00') - 1) AS TEXT) AS collection,
	hex(substr(k, instr(k, x'00') + 1, 8)) AS tenant,
	hex(substr(k, instr(k, x'00') + 9, 8)) AS namespace,
	substr(k, instr(k, x'00') + 17) AS path,
	CAST(body AS TEXT) AS body
FROM records WHERE sha256 IS NOT NULL`},
}

// createFile makes the database file when there is none: empty, for the plugin's user alone, with its name durable.
func createFile(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.Invalid, err, "path: the folder %q does not exist; create it or choose another", dir)
	case err != nil:
		return fault.Wrap(fault.Denied, err, "path: the folder %q cannot be reached by the plugin's user", dir)
	case !info.IsDir():
		return fault.New(fault.Invalid, "path: %q is no folder", dir)
	}
	info, err = os.Stat(path)
	if err == nil {
		if !info.Mode().IsRegular() {
			return fault.New(fault.Invalid, "path: %q is no regular file; name the database file, not its folder", path)
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return refuseFile(path, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return refuseFile(path, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return refuseFile(path, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return refuseFile(path, err)
	}
	return nil
}

// refuseFile says why the file cannot be used.
func refuseFile(path string, err error) error {
	switch {
	case errors.Is(err, sqlite3.NOTADB):
		return fault.Wrap(fault.Invalid, err, "path: %q is not an SQLite database, or its first page is damaged; choose another path or restore a backup", path)
	case isFull(err), errors.Is(err, sqlite3.FULL):
		return classify(context.Background(), err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, sqlite3.READONLY), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.PERM):
		return fault.Wrap(fault.Denied, err, "path: %q or its folder cannot be written by the plugin's user; change the permissions, make the file system writable, or choose another path", path)
	}
	if err = classify(context.Background(), err); fault.Is(err, fault.Corrupt) {
		return fault.Wrap(fault.Corrupt, err, "path: %q is damaged; keep a copy of the file for analysis and restore a backup; "+
			"if another program has written or copied it, \"store-sqlite adopt\" checks the whole file", path)
	}
	return err
}

// prepareFile checks that the file is ours and of this version, or makes an empty one ours. Nothing is written to a
// file that is refused.
func prepareFile(c *conn, path string, busy time.Duration) error {
	empty, err := inspect(c, path)
	if err != nil {
		return err
	}
	if empty {
		if err := errors.Join(c.exec(`PRAGMA page_size=4096`), c.useChecksums()); err != nil {
			return refuseFile(path, err)
		}
	}
	if err := useWAL(c, path, busy); err != nil {
		return err
	}
	if on, err := c.number(`PRAGMA checksum_verification`); err != nil || on == 0 {
		return errors.Join(refuseFile(path, errNoChecksums), err)
	}
	if empty {
		if err := createTables(c, path); err != nil {
			return err
		}
	}
	return compareTables(c, path)
}

// errNoChecksums: a header that says so was changed, since every file is made with them.
var errNoChecksums = fault.New(fault.Corrupt, "the database file is damaged: its first page says that pages carry no checksums; keep a copy of the file for analysis and restore a backup")

// inspect answers whether the file is empty, and refuses one that is not ours.
func inspect(c *conn, path string) (empty bool, err error) {
	// One statement, because another process may be making the file ours meanwhile.
	var id, version, objects int64
	s, err := c.prepare(`SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id, pragma_user_version`)
	if err != nil {
		return false, refuseFile(path, err)
	}
	defer s.s.Close()
	err = s.each(func(r row) (bool, error) {
		id, version, objects = r.integer(0), r.integer(1), r.integer(2)
		return false, nil
	})
	if err != nil {
		return false, refuseFile(path, err)
	}
	switch {
	case id == 0 && version == 0 && objects == 0:
		return true, nil
	case id != applicationID:
		return false, fault.New(fault.Invalid, "path: %q is an SQLite database of another program; choose another path", path)
	case version < schemaVersion:
		return false, fault.New(fault.Invalid, "path: %q has layout version %d, which only builds before the first release wrote; choose another path", path, version)
	case version > schemaVersion:
		return false, fault.New(fault.Invalid, "path: %q has layout version %d and this plugin knows up to %d; use the plugin that wrote it or a newer one, or restore a backup made before the upgrade", path, version, schemaVersion)
	}
	return false, nil
}

// useWAL turns the write-ahead log on. SQLite does not wait for the lock that this takes, so two processes that open a
// new file at once must try again.
func useWAL(c *conn, path string, busy time.Duration) error {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(busy); ; time.Sleep(pause) {
		mode, err := c.text(`PRAGMA journal_mode=WAL`)
		switch {
		case errors.Is(err, sqlite3.BUSY) && time.Now().Before(deadline):
		case err != nil:
			return refuseFile(path, err)
		case mode != "wal":
			return fault.New(fault.Invalid, "path: the file system of %q cannot share memory between processes; choose a path on a local disk", path)
		default:
			return nil
		}
	}
}

// createTables makes an empty file ours, unless another process has done so meanwhile.
func createTables(c *conn, path string) (err error) {
	if err := c.exec(`PRAGMA synchronous=FULL; BEGIN IMMEDIATE`); err != nil {
		return refuseFile(path, err)
	}
	defer func() {
		if c.inTransaction() {
			err = errors.Join(err, c.exec(`ROLLBACK`))
		}
	}()
	empty, err := inspect(c, path)
	if err != nil || !empty {
		return err
	}
	script := ""
	for _, t := range tables {
		script += t.sql + ";\n"
	}
	// Marks and tables are one transaction: a crash leaves an empty file or a whole one.
	script += `PRAGMA application_id=0x44477374; PRAGMA user_version=2; COMMIT`
	if err := c.exec(script); err != nil {
		return refuseFile(path, err)
	}
	return nil
}

// compareTables refuses a file whose tables somebody has changed: a missing UNIQUE would let two rows hold one key.
func compareTables(c *conn, path string) error {
	for _, t := range tables {
		text, err := c.text(`SELECT sql FROM sqlite_schema WHERE name='` + t.name + `'`)
		if err != nil {
			return refuseFile(path, err)
		}
		if text != t.sql {
			return fault.New(fault.Corrupt, "path: %q: the definition of %q was changed by another program; restore a backup", path, t.name)
		}
	}
	return nil
}
