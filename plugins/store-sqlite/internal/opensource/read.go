// Package opensource reads a database of the open-source Decision Gate and writes its runs and data shapes as a stream of lines,
// from which a host makes its own. It believes nothing and changes nothing: what is in the rows is for the host to judge, and
// neither the file nor the log beside it is written to.
package opensource

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// The schema versions of the open-source server that are read. Version 4 added the signatures of data shapes.
const (
	oldestSchema = 3
	newestSchema = 4
)

// Limits of what the open-source server stores, in bytes.
const (
	maxState  = 16 << 20
	maxSchema = 1 << 20
)

// WriteStream reads the database in a file and writes the stream. The error, which the stream ends with too, is for people.
func WriteStream(ctx context.Context, path string, out io.Writer) error {
	w := &writer{out: bufio.NewWriter(out)}
	w.lines = json.NewEncoder(w.out)
	w.lines.SetEscapeHTML(false)
	err := w.database(ctx, path)
	if err != nil {
		_ = w.lines.Encode(itemLine{Error: err.Error()})
	}
	return errors.Join(err, w.out.Flush())
}

type writer struct {
	out   *bufio.Writer
	lines *json.Encoder
	count endLine
}

func (w *writer) database(ctx context.Context, path string) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if path, err = resolve(path); err != nil {
		return err
	}
	if err := checkFile(path); err != nil {
		return err
	}
	before := stampOf(path)
	db, err := open(path)
	if err != nil {
		return explain(path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetInterrupt(ctx)
	if err := w.content(db, path); err != nil {
		return err
	}
	if stampOf(path) != before {
		return fmt.Errorf("%s was written while it was read: stop the server, and read it again", path)
	}
	return w.lines.Encode(itemLine{End: &w.count})
}

// resolve follows symbolic links, since the log lies beside the file itself.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return path, nil // checkFile says so
	}
	return real, err
}

// open opens the database on the layer that changes nothing.
func open(path string) (_ *sqlite3.Conn, err error) {
	private, err := os.MkdirTemp("", "decision-gate-read-*")
	if err != nil {
		return nil, err
	}
	// Once the index is open its name is not needed: nothing is left behind when the process is killed.
	defer os.RemoveAll(private)
	name := filepath.Base(private)
	vfs.Register(name, layer{vfs.Find(""), filepath.Join(private, "index")})
	defer vfs.Unregister(name)
	// Escaped: a "?" in the path would carry SQLite's options.
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: url.Values{"vfs": {name}}.Encode()}
	db, err := sqlite3.OpenFlags(file.String(), sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	if err := harden(db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// harden takes from the file what it could make us run, and begins the one transaction in which all is read.
func harden(db *sqlite3.Conn) error {
	for _, set := range []struct {
		option sqlite3.DBConfig
		on     bool
	}{{sqlite3.DBCONFIG_ENABLE_TRIGGER, false}, {sqlite3.DBCONFIG_ENABLE_VIEW, false}, {sqlite3.DBCONFIG_DEFENSIVE, true}} {
		if _, err := db.Config(set.option, set.on); err != nil {
			return err
		}
	}
	return db.Exec(`PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; BEGIN; SELECT count(*) FROM sqlite_schema`)
}

// explain says why the file cannot be used.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, sqlite3.NOTADB):
		return fmt.Errorf("%s is not an SQLite database", path)
	case errors.Is(err, sqlite3.READONLY_ROLLBACK):
		return fmt.Errorf("%s was not closed cleanly, and its journal must be rolled back first: start and stop the open-source server once", path)
	case errors.Is(err, sqlite3.BUSY):
		return fmt.Errorf("%s is in use by another program: stop the server first", path)
	case errors.Is(err, sqlite3.CORRUPT):
		return fmt.Errorf("%s is damaged: restore a backup, or read a copy that was mended (%w)", path, err)
	default:
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
}

func (w *writer) content(db *sqlite3.Conn, path string) error {
	tables, err := tablesOf(db)
	if err != nil {
		return explain(path, err)
	}
	if !slices.Contains(tables, "store_meta") {
		return fmt.Errorf("%s is an SQLite database, but not one of the open-source Decision Gate: it has no table store_meta", path)
	}
	version, err := schemaVersion(db, path)
	if err != nil {
		return err
	}
	begin := beginLine{Format: streamFormat, Version: streamVersion, SchemaVersion: version}
	withRuns, withShapes := slices.Contains(tables, "runs"), slices.Contains(tables, "data_shapes")
	for _, count := range []struct {
		there bool
		table string
		to    *int64
	}{{withRuns, "runs", &begin.Runs}, {withShapes, "data_shapes", &begin.Shapes}} {
		if count.there {
			if *count.to, err = number(db, `SELECT count(*) FROM `+count.table); err != nil {
				return explain(path, err)
			}
		}
	}
	if err := w.lines.Encode(begin); err != nil {
		return err
	}
	if withRuns {
		err = w.runs(db)
	}
	if err == nil && withShapes {
		err = w.shapes(db, version)
	}
	if err != nil {
		return explain(path, err)
	}
	return nil
}

// schemaVersion refuses a version that was not made by an open-source server whose rows are known.
func schemaVersion(db *sqlite3.Conn, path string) (int64, error) {
	rows, err := number(db, `SELECT count(*) FROM store_meta`)
	if err != nil {
		return 0, explain(path, err)
	}
	if rows == 0 {
		return 0, fmt.Errorf("%s has no schema version: no open-source server has finished making it, and there is nothing in it", path)
	}
	version, err := number(db, `SELECT version FROM store_meta LIMIT 1`)
	if err != nil {
		return 0, explain(path, err)
	}
	if rows > 1 || version < oldestSchema || version > newestSchema {
		return 0, fmt.Errorf("%s: unsupported schema version: %d; versions %d and %d can be read: let the newest open-source server that you have open it once, which brings it to version %d",
			path, version, oldestSchema, newestSchema, newestSchema)
	}
	return version, nil
}
