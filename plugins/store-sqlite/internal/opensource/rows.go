package opensource

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// The newest version of each run. The size comes first: a state that is too large is not read.
const selectRuns = `SELECT r.tenant_id, r.namespace_id, r.run_id, r.latest_version, v.version, v.saved_at, v.state_hash, v.hash_algorithm,
	octet_length(v.state_json), CASE WHEN octet_length(v.state_json) <= 16777216 THEN v.state_json END
FROM runs r LEFT JOIN run_state_versions v
	ON v.tenant_id = r.tenant_id AND v.namespace_id = r.namespace_id AND v.run_id = r.run_id AND v.version = r.latest_version
ORDER BY r.tenant_id, r.namespace_id, r.run_id`

const selectShapes = `SELECT tenant_id, namespace_id, schema_id, version, schema_hash, hash_algorithm, description, created_at_json,
	octet_length(schema_json), CASE WHEN octet_length(schema_json) <= 1048576 THEN schema_json END, %s
FROM data_shapes ORDER BY tenant_id, namespace_id, schema_id, version`

func (w *writer) runs(db *sqlite3.Conn) error {
	return each(db, selectRuns, func(row *sqlite3.Stmt) error {
		r := run{
			TenantID: row.ColumnText(0), NamespaceID: row.ColumnText(1), RunID: row.ColumnText(2), Version: row.ColumnInt64(3),
			SavedAt: row.ColumnInt64(5), Hash: row.ColumnText(6), Algorithm: row.ColumnText(7),
		}
		switch size := row.ColumnInt64(8); {
		case !utf8.ValidString(r.RunID):
			r.Problem = "its run_id is no valid text"
		case row.ColumnType(4) == sqlite3.NULL:
			r.Problem = fmt.Sprintf("missing run state version %d for run %s", r.Version, r.RunID)
		case size > maxState:
			r.Problem = fmt.Sprintf("state_json exceeds size limit: %d bytes (max %d)", size, maxState)
		default:
			r.State = row.ColumnBlob(9, nil)
		}
		w.count.Runs++
		return w.lines.Encode(itemLine{Run: &r})
	})
}

func (w *writer) shapes(db *sqlite3.Conn, version int64) error {
	signing := `NULL, NULL, NULL`
	if version >= newestSchema {
		signing = `signing_key_id, signing_signature, signing_algorithm`
	}
	return each(db, fmt.Sprintf(selectShapes, signing), func(row *sqlite3.Stmt) error {
		s := shape{
			TenantID: row.ColumnText(0), NamespaceID: row.ColumnText(1), SchemaID: row.ColumnText(2), Version: row.ColumnText(3),
			Hash: row.ColumnText(4), Algorithm: row.ColumnText(5), Description: optional(row, 6), CreatedAt: row.ColumnText(7),
			KeyID: optional(row, 10), Signature: optional(row, 11), SigningWith: optional(row, 12),
		}
		switch size := row.ColumnInt64(8); {
		case !utf8.ValidString(s.SchemaID) || !utf8.ValidString(s.Version) || s.Description != nil && !utf8.ValidString(*s.Description):
			s.Problem = "its ids or its description are no valid text" // in JSON they would become others
		case size > maxSchema:
			s.Problem = fmt.Sprintf("schema_json exceeds size limit: %d bytes (max %d)", size, maxSchema)
		default:
			s.Schema = row.ColumnBlob(9, nil)
		}
		w.count.Shapes++
		return w.lines.Encode(itemLine{Shape: &s})
	})
}

// optional is a text that may be NULL.
func optional(row *sqlite3.Stmt, column int) *string {
	if row.ColumnType(column) == sqlite3.NULL {
		return nil
	}
	text := row.ColumnText(column)
	return &text
}

// each calls f with the rows of a query.
func each(db *sqlite3.Conn, sql string, f func(*sqlite3.Stmt) error) error {
	stmt, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	defer stmt.Close() // Repeats the error of the last step, which is told already.
	for stmt.Step() {
		// A column that could not be read, as from a corrupt page, is told by Err only.
		if err := errors.Join(f(stmt), stmt.Err()); err != nil {
			return err
		}
	}
	return stmt.Err()
}

func number(db *sqlite3.Conn, sql string) (n int64, err error) {
	err = each(db, sql, func(row *sqlite3.Stmt) error {
		n = row.ColumnInt64(0)
		return nil
	})
	return n, err
}

func tablesOf(db *sqlite3.Conn) (tables []string, err error) {
	err = each(db, `SELECT name FROM sqlite_schema WHERE type = 'table'`, func(row *sqlite3.Stmt) error {
		tables = append(tables, row.ColumnText(0))
		return nil
	})
	return tables, err
}
