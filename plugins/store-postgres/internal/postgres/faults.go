package postgres

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Codes of errors that the functions raise.
const (
	codeNotDurable = "DG002"
	codeTooLarge   = "DG003"
	codeCorrupt    = "DG004"
)

// serverFault is what an error of the server means: the reason, and what an operator can do about it.
type serverFault struct {
	reason fault.Reason
	advice string
}

// serverFaults are found by the whole code, else by its class, the first two characters:
// https://www.postgresql.org/docs/15/errcodes-appendix.html
var serverFaults = map[string]serverFault{
	codeNotDurable: {fault.Denied, "the server may lose what it has committed: set fsync, full_page_writes and synchronous_commit to on"},
	codeTooLarge:   {fault.TooLarge, "the records asked for are larger than a message; ask for fewer at once"},
	codeCorrupt:    {fault.Corrupt, "a counter does not match its checksum; stop the hosts, keep a copy of the database for analysis and restore a backup"},

	"08": {fault.Unavailable, "the connection to the database server was lost"},
	"53": {fault.Unavailable, "the database server is out of resources"},
	// Two of this class do not go away by themselves.
	"53100": {fault.Full, "the disk of the database server is full; make room"},
	"53300": {fault.Unavailable, "the database server has no connection left: raise its max_connections or lower the plugin's"},
	"57":    {fault.Unavailable, "the database server is shutting down or starting"},
	"57014": {fault.Unavailable, "the database server took longer than statement_timeout"},
	"55P03": {fault.Unavailable, "a lock in the database was not free within lock_timeout; look in pg_stat_activity for who holds it"},
	"40":    {fault.Unavailable, "the database server broke off the transaction"},
	"25006": {fault.Unavailable, "the database server only reads: it is a replica, or a failover is under way"},
	"58":    {fault.Unavailable, "the database server has a system error, see its log"},
	"58030": {fault.Unavailable, "the database server could not read or write its disk, see its log"},

	"28":    {fault.Denied, "the database server does not let the user in: check user, password and pg_hba.conf"},
	"3D":    {fault.Denied, "the database does not exist"},
	"42501": {fault.Denied, "the user lacks a privilege: run store-postgres migrate up, and GRANT decision_gate_app to the user"},
	"42":    {fault.Denied, "the schema is not as this version needs it: run store-postgres migrate up"},
	"3F":    {fault.Denied, "the database has no schema decision_gate: run deploy/postgres/2-database.sql and store-postgres migrate up"},

	"XX001": {fault.Corrupt, "a page of the database is damaged; stop the hosts and restore a backup"},
	"XX002": {fault.Corrupt, "an index of the database is damaged; stop the hosts and run REINDEX or restore a backup"},
	"54":    {fault.TooLarge, "a limit of the database server was passed"},
	"22":    {fault.Internal, "the database server refused a value"},
}

// classify gives an error its reason. What crosses the wire holds neither address nor user nor anything of a record; the
// cause stays inside the process.
func classify(ctx context.Context, err error) error {
	var known *fault.Error
	var server *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return fault.Wrap(fault.ReasonOf(ctx.Err()), ctx.Err(), "the call ended before the database answered")
	case errors.As(err, &server):
		return classifyServer(server)
	case unreadable(err):
		return fault.Wrap(fault.Internal, err, "the database answered something else than was asked for")
	case pgconn.Timeout(err):
		return fault.Wrap(fault.Unavailable, quiet(err), "the database server did not answer in time")
	}
	return fault.Wrap(fault.Unavailable, quiet(err), "the database server cannot be reached")
}

// rowPolicyRoutine is where the server finds that a row breaks a policy: the code is that of a missing privilege, and the text
// is in the server's language.
const rowPolicyRoutine = "ExecWithCheckOptions"

func classifyServer(err *pgconn.PgError) error {
	if err.Routine == rowPolicyRoutine {
		// A mistake of the host, which names a key that is not for its caller. Nothing is wrong with the database, and
		// commits of others in the same transaction are tried again without this one.
		return fault.New(fault.Invalid, "a record of another tenant than the one in whose name it was to be written (SQLSTATE %s)", err.Code)
	}
	known, ok := serverFaults[err.Code]
	if !ok && len(err.Code) == 5 {
		known, ok = serverFaults[err.Code[:2]]
	}
	if !ok {
		known = serverFault{fault.Internal, "the database server answered an error"}
	}
	// The detail of an error may quote values of a row, so only the message goes along.
	return fault.Wrap(known.reason, errors.New(err.Message), "%s (SQLSTATE %s)", known.advice, err.Code)
}

// quiet is an error without what a connection string holds: the driver's own text names user, database and host.
func quiet(err error) error {
	var dial *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return errors.New("the host's name cannot be resolved")
	case errors.As(err, &dial):
		return dial.Err
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return errors.New("no connection")
	}
	return errors.New(firstLine(err))
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// errDSN says nothing of the value: a string that cannot be parsed may hold the password anywhere.
func errDSN() error {
	return fault.New(fault.Invalid, "dsn: it cannot be parsed; want postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full or the KEY=VALUE form of libpq, with files that exist")
}

// lost says whether a connection was lost, or could not be made, so that trying again on another one may help.
func lost(err error) bool {
	var known *fault.Error
	if errors.As(err, &known) {
		return false
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return crowded(err) || slices.Contains([]string{"57P01", "57P02", "57P03", "25006"}, server.Code) || strings.HasPrefix(server.Code, "08")
	}
	return !unreadable(err)
}

// crowded says whether the server is well and the call met others: a deadlock, or no connection left.
func crowded(err error) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && slices.Contains([]string{"53300", "40001", "40P01"}, server.Code)
}

// unreadable says whether an answer arrived and is not what was asked for, as from functions of another version.
func unreadable(err error) bool {
	var column pgx.ScanArgError
	return errors.As(err, &column) || errors.Is(err, pgx.ErrNoRows)
}
