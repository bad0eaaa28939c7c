package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the advisory lock that is held while a database is migrated: "dgmigrat" in ASCII.
const migrationLock = 0x64676d6967726174

// migration is a step from the version before. A released one is never changed.
type migration struct {
	version int
	sql     string
}

// migrations are in order, from version 1 without a gap.
func migrations() ([]migration, error) {
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, file := range files {
		version, err := strconv.Atoi(strings.TrimSuffix(file.Name(), ".sql"))
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", file.Name(), i+1)
		}
		sql, err := migrationFiles.ReadFile(path.Join("migrations", file.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, string(sql)})
	}
	return all, nil
}

// SchemaState says where a database stands.
type SchemaState struct {
	// Version is the version of the schema, 0 before the first migration; Newest is the one this program knows.
	Version, Newest int
}

// Status answers the state of the database's schema.
func Status(ctx context.Context, dsn string) (SchemaState, error) {
	all, conn, err := openToMigrate(ctx, dsn)
	if err != nil {
		return SchemaState{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	version, err := schemaVersion(ctx, conn)
	return SchemaState{Version: version, Newest: len(all)}, classify(ctx, err)
}

// Up brings the schema to the newest version, in one transaction, and makes its functions anew. It answers the versions
// before and after. A second Up at the same time waits for the first.
func Up(ctx context.Context, dsn string) (from, to int, err error) {
	all, conn, err := openToMigrate(ctx, dsn)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		from, err = migrate(ctx, tx, all)
		return err
	})
	var refusal *fault.Error
	if err != nil && !errors.As(err, &refusal) {
		err = fmt.Errorf("migrate: %w", classify(ctx, err))
	}
	return from, len(all), err
}

func migrate(ctx context.Context, tx pgx.Tx, all []migration) (from int, err error) {
	// Everything belongs to the owner, whoever of its members migrates. The lock ends with the transaction, because behind
	// a pooler that is all that is surely one session.
	if _, err := tx.Exec(ctx, `SET LOCAL ROLE decision_gate_owner`); err != nil {
		return 0, fault.Wrap(fault.Denied, err, "the user cannot act as decision_gate_owner: run deploy/postgres/1-roles.sql and 2-database.sql, and GRANT decision_gate_owner to it")
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return 0, err
	}
	if from, err = schemaVersion(ctx, tx); err != nil {
		return 0, err
	}
	if from > len(all) {
		return from, fault.New(fault.Invalid, "the schema has version %d, this program knows %d: use the newer program; there is no way back but a backup", from, len(all))
	}
	for _, m := range all[from:] {
		if _, err := tx.Exec(ctx, m.sql); err != nil {
			return from, fmt.Errorf("version %d: %w", m.version, err)
		}
	}
	sql, err := Functions()
	if err != nil {
		return from, err
	}
	if _, err := tx.Exec(ctx, sql); err != nil {
		return from, fmt.Errorf("functions: %w", err)
	}
	return from, noteVersion(ctx, tx, from, len(all))
}

func noteVersion(ctx context.Context, tx pgx.Tx, from, to int) error {
	if from == 0 {
		if _, err := tx.Exec(ctx, `CREATE TABLE decision_gate.schema_version (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `GRANT SELECT ON decision_gate.schema_version TO decision_gate_app, decision_gate_reader`); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO decision_gate.schema_version (version) SELECT generate_series($1::int, $2::int)`, from+1, to)
	return err
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaVersion answers 0 for a database that was never migrated.
func schemaVersion(ctx context.Context, q querier) (version int, err error) {
	var exists bool
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'decision_gate' AND tablename = 'schema_version')`).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = q.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM decision_gate.schema_version`).Scan(&version)
	return version, err
}

func openToMigrate(ctx context.Context, dsn string) ([]migration, *pgx.Conn, error) {
	all, err := migrations()
	if err != nil {
		return nil, nil, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, errDSN()
	}
	// Nothing is prepared, so that a pooler in transaction mode does not matter.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, nil, classify(ctx, err)
	}
	return all, conn, nil
}
