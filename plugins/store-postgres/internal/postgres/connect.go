package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// minServer is the oldest server: 15 has views with the rights of whoever asks.
const minServer = 150000

// connectTimeout bounds one attempt to connect, unless the dsn says otherwise: a firewall that swallows packets must not
// use up a caller's deadline.
const connectTimeout = 5 * time.Second

// The least protection of a connection that leaves the machine, from the weakest.
const (
	tlsOff     = "off"
	tlsEncrypt = "encrypt"
	tlsVerify  = "verify"
)

var tlsRank = map[string]int{tlsOff: 0, tlsEncrypt: 1, tlsVerify: 2}

// poolConfig reads the dsn and puts the options over it.
func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.DSN)
	if err != nil {
		return nil, errDSN()
	}
	conn := config.ConnConfig
	if err := checkTLS(conn, o.MinimumTLS); err != nil {
		return nil, err
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	conn.DialFunc = dial
	if conn.ValidateConnect == nil {
		// With several hosts in the dsn the one that takes writes is used, also after a failover.
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	config.MaxConns = int32(o.MaxConnections)
	config.MinConns = 1
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error { return classify(ctx, checkServer(ctx, c)) }
	if o.Pooler {
		// Statements with names belong to a session of the server, and a pooler hands out another one for each transaction.
		conn.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		return config, nil
	}
	conn.RuntimeParams["application_name"] = "decision-gate"
	conn.RuntimeParams["statement_timeout"] = milliseconds(o.StatementTimeout)
	conn.RuntimeParams["lock_timeout"] = milliseconds(o.LockTimeout)
	conn.RuntimeParams["idle_in_transaction_session_timeout"] = milliseconds(o.StatementTimeout)
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// checkTLS refuses a dsn that would let somebody on the way read or change decisions. "prefer", which is what a dsn without
// sslmode means, falls back to plain text when somebody on the way asks for it.
func checkTLS(config *pgx.ConnConfig, minimum string) error {
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	for _, way := range ways {
		if local(way.Host) {
			continue
		}
		if got := protection(way.TLSConfig); tlsRank[got] < tlsRank[minimum] {
			return fault.New(fault.Invalid, "dsn: its sslmode lets a connection to the server be %q, minimum_tls asks for %q; use sslmode=verify-full with sslrootcert, or lower minimum_tls", got, minimum)
		}
	}
	return nil
}

func local(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func protection(config *tls.Config) string {
	switch {
	case config == nil:
		return tlsOff
	case config.InsecureSkipVerify && config.VerifyPeerCertificate == nil:
		return tlsEncrypt
	}
	return tlsVerify
}

// checkServer refuses a server that could lose what it has committed, a user on whom row-level security has no hold, and a
// schema of another version. It is asked on every connection, because settings change and a failover brings another server;
// commit_v1 asks for the settings again with every batch.
func checkServer(ctx context.Context, c *pgx.Conn) error {
	var version int
	var synchronous, fsync, fullPages string
	var powerful bool
	err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
		(SELECT rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user)
		OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname IN ('decision_gate_owner', 'decision_gate_feed', 'decision_gate_reader') AND pg_has_role(current_user, oid, 'MEMBER'))`).
		Scan(&version, &synchronous, &fsync, &fullPages, &powerful)
	switch {
	case err != nil:
		return err
	case version < minServer:
		return fault.New(fault.Denied, "the server is PostgreSQL %d, the oldest that works is %d", version/10000, minServer/10000)
	case synchronous == "off" || fsync != "on" || fullPages != "on":
		return fault.New(fault.Denied, "the server may lose what it has committed: synchronous_commit is %s, fsync is %s, full_page_writes is %s; set all to on", synchronous, fsync, fullPages)
	case powerful:
		return fault.New(fault.Denied, "the user is a superuser, has BYPASSRLS, or is a member of decision_gate_owner, _feed or _reader, and so could read across tenants: use one that is a member of decision_gate_app alone")
	}
	return checkSchema(ctx, c)
}

func checkSchema(ctx context.Context, c *pgx.Conn) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	switch version, err := schemaVersion(ctx, c); {
	case err != nil:
		return err
	case version < len(all):
		return fault.New(fault.Denied, "the schema has version %d, this plugin needs %d: run store-postgres migrate up", version, len(all))
	case version > len(all):
		return fault.New(fault.Denied, "the schema has version %d, this plugin knows %d: use a newer plugin", version, len(all))
	}
	return nil
}

// backoff is the pause before attempt n, from 1: short at first, because most connections are lost alone.
func backoff(n int) time.Duration {
	const first, longest = 10 * time.Millisecond, 500 * time.Millisecond
	return min(first<<min(n-1, 10), longest)
}

// retryFor is how long a call goes on trying on new connections. A server's restart takes about that long; beyond it the
// host decides, which tries again with the same commit ids.
const retryFor = 4 * time.Second

// again calls f until it does not fail for the lack of a connection, or the time is over. Everything that is called like
// this may be called twice: reads, and commits by their ids.
func (s *Store) again(ctx context.Context, what string, f func(ctx context.Context) error) error {
	began := time.Now()
	for n := 1; ; n++ {
		err := f(ctx)
		if err == nil || ctx.Err() != nil || !lost(err) {
			return classify(ctx, err)
		}
		if n == 1 && !crowded(err) {
			// The others in the pool went through the same broken server or network.
			s.pool.Reset()
		}
		if time.Since(began) > retryFor {
			return classify(ctx, err)
		}
		s.options.Logger.Warn("trying again on another connection", "call", what, "attempt", n, "error", fmt.Sprint(classify(ctx, err)))
		if err := s.sleep(ctx, backoff(n)); err != nil {
			return err
		}
	}
}

// sleep ends early with the store or the context.
func (s *Store) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.closing:
		return errClosed()
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
}
