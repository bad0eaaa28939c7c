// Command makedatabase writes a database as the open-source Decision Gate does, from the stream that is read of one: for tests,
// of this plugin and of the host, which links no SQLite.
//
//	makedatabase FILE [wal|delete] [open] < STREAM
//
// With "open" it ends without closing the file, as a server does that is killed: in the mode "wal" what it wrote is in the log only.
// A run whose problem is "dangling" gets no version. Its older versions hold other bytes, which nobody may read.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/ncruces/go-sqlite3"
)

const ddl = `
CREATE TABLE store_meta (version INTEGER NOT NULL);
CREATE TABLE runs (
	tenant_id TEXT NOT NULL, namespace_id TEXT NOT NULL, run_id TEXT NOT NULL, latest_version INTEGER NOT NULL,
	PRIMARY KEY (tenant_id, namespace_id, run_id)
);
CREATE TABLE run_state_versions (
	tenant_id TEXT NOT NULL, namespace_id TEXT NOT NULL, run_id TEXT NOT NULL, version INTEGER NOT NULL,
	state_json BLOB NOT NULL, state_hash TEXT NOT NULL, hash_algorithm TEXT NOT NULL, saved_at INTEGER NOT NULL,
	PRIMARY KEY (tenant_id, namespace_id, run_id, version),
	FOREIGN KEY (tenant_id, namespace_id, run_id) REFERENCES runs (tenant_id, namespace_id, run_id) ON DELETE CASCADE
);
CREATE INDEX idx_run_state_versions_run_id ON run_state_versions (tenant_id, namespace_id, run_id);
CREATE TABLE data_shapes (
	tenant_id TEXT NOT NULL, namespace_id TEXT NOT NULL, schema_id TEXT NOT NULL, version TEXT NOT NULL,
	schema_json BLOB NOT NULL, schema_hash TEXT NOT NULL, hash_algorithm TEXT NOT NULL, description TEXT,
	%screated_at_json TEXT NOT NULL,
	PRIMARY KEY (tenant_id, namespace_id, schema_id, version)
);
CREATE INDEX idx_data_shapes_namespace ON data_shapes (tenant_id, namespace_id);`

type line struct {
	SchemaVersion int64 `json:"schema_version"`
	Run           *struct {
		TenantID    string `json:"tenant_id"`
		NamespaceID string `json:"namespace_id"`
		RunID       string `json:"run_id"`
		Version     int64  `json:"version"`
		SavedAt     int64  `json:"saved_at"`
		State       []byte `json:"state"`
		Hash        string `json:"state_hash"`
		Algorithm   string `json:"hash_algorithm"`
		Problem     string `json:"problem"`
	} `json:"run"`
	Shape *struct {
		TenantID    string  `json:"tenant_id"`
		NamespaceID string  `json:"namespace_id"`
		SchemaID    string  `json:"schema_id"`
		Version     string  `json:"version"`
		Schema      []byte  `json:"schema"`
		Hash        string  `json:"schema_hash"`
		Algorithm   string  `json:"hash_algorithm"`
		Description *string `json:"description"`
		KeyID       *string `json:"signing_key_id"`
		Signature   *string `json:"signing_signature"`
		SigningWith *string `json:"signing_algorithm"`
		CreatedAt   string  `json:"created_at"`
	} `json:"data_shape"`
}

func main() {
	if err := write(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "makedatabase:", err)
		os.Exit(1)
	}
}

func write(path string, words []string) error {
	db, err := sqlite3.Open("file:" + path)
	if err != nil {
		return err
	}
	mode := "delete"
	if slices.Contains(words, "wal") {
		mode = "wal"
	}
	err = db.Exec(`PRAGMA journal_mode=` + mode + `; PRAGMA foreign_keys=ON`)
	lines := json.NewDecoder(os.Stdin)
	version := int64(0)
	for err == nil {
		var l line
		if err = lines.Decode(&l); err == nil {
			err = insert(db, &l, &version)
		}
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if slices.Contains(words, "open") {
		return nil
	}
	return db.Close()
}

func insert(db *sqlite3.Conn, l *line, version *int64) error {
	switch {
	case l.SchemaVersion != 0:
		*version = l.SchemaVersion
		signing := ""
		if *version > 3 {
			signing = "signing_key_id TEXT, signing_signature TEXT, signing_algorithm TEXT, "
		}
		if err := db.Exec(fmt.Sprintf(ddl, signing)); err != nil {
			return err
		}
		return execute(db, `INSERT INTO store_meta VALUES (?)`, *version)
	case l.Run != nil:
		r := l.Run
		if err := execute(db, `INSERT INTO runs VALUES (?, ?, ?, ?)`, r.TenantID, r.NamespaceID, r.RunID, r.Version); err != nil {
			return err
		}
		const add = `INSERT INTO run_state_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
		if r.Version > 1 {
			if err := execute(db, add, r.TenantID, r.NamespaceID, r.RunID, r.Version-1, []byte("older"), r.Hash, r.Algorithm, r.SavedAt-1); err != nil {
				return err
			}
		}
		if r.Problem == "dangling" {
			return nil
		}
		return execute(db, add, r.TenantID, r.NamespaceID, r.RunID, r.Version, r.State, r.Hash, r.Algorithm, r.SavedAt)
	case l.Shape != nil:
		s := l.Shape
		args := []any{s.TenantID, s.NamespaceID, s.SchemaID, s.Version, s.Schema, s.Hash, s.Algorithm, s.Description}
		marks := "?, ?, ?, ?, ?, ?, ?, ?, "
		if *version > 3 {
			args, marks = append(args, s.KeyID, s.Signature, s.SigningWith), marks+"?, ?, ?, "
		}
		return execute(db, `INSERT INTO data_shapes VALUES (`+marks+`?)`, append(args, s.CreatedAt)...)
	default:
		return nil
	}
}

func execute(db *sqlite3.Conn, sql string, args ...any) error {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			err = errors.Join(err, stmt.BindText(i+1, v))
		case *string:
			if v == nil {
				err = errors.Join(err, stmt.BindNull(i+1))
			} else {
				err = errors.Join(err, stmt.BindText(i+1, *v))
			}
		case int64:
			err = errors.Join(err, stmt.BindInt64(i+1, v))
		case []byte:
			err = errors.Join(err, stmt.BindBlob(i+1, v))
		}
	}
	return errors.Join(err, stmt.Exec(), stmt.Close())
}
