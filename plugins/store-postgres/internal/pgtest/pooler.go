package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler starts PgBouncer in transaction mode, with fewer connections to the server than its clients have to it, and answers
// the connection string of the plugin's user through it. It ends with the server.
func (s *Server) Pooler(database string) (dsn string, err error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(s.Dir, "pooler")
	if err != nil {
		return "", err
	}
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
pool_mode = transaction
default_pool_size = 3
auth_type = plain
auth_file = %s/users
logfile = %s/log
`, s.Port, port, dir, dir)
	users := fmt.Sprintf("%q %q\n", App, Password)
	for path, content := range map[string]string{config: text, filepath.Join(dir, "users"): users} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	if err := s.Launch(dir, "/usr/sbin/pgbouncer", config); err != nil {
		return "", fmt.Errorf("%w; run \"make setup\"", err)
	}
	dsn = fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", App, Password, port, database)
	return dsn, awaitPooler(dsn, filepath.Join(dir, "log"))
}

func awaitPooler(dsn, log string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		c, err := pgx.ConnectConfig(context.Background(), config)
		if err == nil {
			return c.Close(context.Background())
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			return fmt.Errorf("the pooler does not answer: %w\n%s", err, text)
		}
	}
}
