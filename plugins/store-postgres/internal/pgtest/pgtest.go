// Package pgtest runs a PostgreSQL server for tests: in a folder of its own, on loopback, with the roles and settings of
// deploy/postgres, and gone when the test binary is. It refuses any major version but the one the tests are written for, and
// never touches a server that it did not start.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// Major is the version of the server.
	Major = "15"
	// Admin is the superuser; App is the plugin's user, Owner migrates, Reader looks.
	Admin, App, Owner, Reader = "admin", "decision_gate", "migrator", "analyst"
	// Password is that of all of them.
	Password = "s3cret-of-the-tests"
	// startTimeout is what a start with crash recovery needs on a busy machine, many times over.
	startTimeout = 60 * time.Second
)

// Server is a running PostgreSQL.
type Server struct {
	// Dir holds everything, Port is on 127.0.0.1.
	Dir  string
	Port int

	bin  string
	args []string

	mu      sync.Mutex
	process *os.Process
	exited  <-chan struct{}
	beside  []beside
	names   int
}

// Start makes a cluster and starts its server; settings are more of "NAME=VALUE". Stop ends it.
func Start(settings ...string) (s *Server, err error) {
	s = &Server{bin: filepath.Join("/usr/lib/postgresql", Major, "bin")}
	if _, err := os.Stat(filepath.Join(s.bin, "postgres")); err != nil {
		return nil, fmt.Errorf("PostgreSQL %s is not installed, run \"make setup\": %w", Major, err)
	}
	if s.Dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.init(); err != nil {
		return nil, err
	}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	s.args = []string{"-D", filepath.Join(s.Dir, "data"), "-k", s.Dir, "-p", strconv.Itoa(s.Port)}
	// Small buffers: several servers may run beside each other on a small machine.
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=100", "log_min_messages=warning",
		// Before it recovers from a crash the server syncs what is on its disk, by default file by file of every test's database.
		"recovery_init_sync_method=syncfs"}, settings...) {
		s.args = append(s.args, "-c", setting)
	}
	if err := s.Run(); err != nil {
		return nil, err
	}
	return s, s.addUsers()
}

// freePort is free at the moment: nothing else on the machine takes ports of this range in order.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// asPostgres answers who the server runs as: it refuses to run as root.
func asPostgres() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) init() error {
	who, err := asPostgres()
	if err != nil {
		return err
	}
	password := filepath.Join(s.Dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return err
	}
	if who != nil {
		if err := errors.Join(os.Chown(s.Dir, int(who.Uid), int(who.Gid)), os.Chown(password, int(who.Uid), int(who.Gid))); err != nil {
			return err
		}
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "-U", Admin, "--pwfile="+password,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.Dir, []string{"LC_ALL=C", "HOME=" + s.Dir, "PATH=" + os.Getenv("PATH")}, &syscall.SysProcAttr{Credential: who}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// Run starts the server when it does not run, and waits until it answers.
func (s *Server) Run() error {
	who, err := asPostgres()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), s.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.Dir, []string{"LC_ALL=C", "HOME=" + s.Dir}, log, log
	cmd.SysProcAttr = attributes(who)
	exited, err := hold(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process, s.exited = cmd.Process, exited
	s.mu.Unlock()
	return s.await(exited)
}

func (s *Server) await(exited <-chan struct{}) error {
	deadline := time.Now().Add(startTimeout)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		c, err := pgx.Connect(ctx, s.Socket("postgres"))
		cancel()
		if err == nil {
			return c.Close(context.Background())
		}
		select {
		case <-exited:
			return fmt.Errorf("the server ended:\n%s", s.Log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not answer: %w\n%s", err, s.Log())
		}
	}
}

// Launch starts another program of a database beside the server, as the same user in a folder that becomes its own. It ends
// with the server.
func (s *Server) Launch(dir, program string, args ...string) error {
	who, err := asPostgres()
	if err != nil {
		return err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.SysProcAttr = dir, attributes(who)
	exited, err := hold(cmd)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beside = append(s.beside, beside{cmd.Process, exited})
	return nil
}

// beside is a process that ends with the server.
type beside struct {
	process *os.Process
	exited  <-chan struct{}
}

// hold starts a process. The system ends it when the thread that started it ends, so that thread lives as long as it does.
func hold(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(ended)
	}()
	return ended, <-started
}

// Log is what the server has logged.
func (s *Server) Log() string {
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(log)
}

// Kill ends the server and all of its processes at once, as a power cut would. Run starts it again.
func (s *Server) Kill() {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process == nil {
		return
	}
	backends := children(process.Pid)
	_ = process.Kill()
	for _, pid := range backends {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-exited
	// A backend that was begun in between ends by itself when it misses its parent; until then it holds the memory.
	for _, pid := range backends {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// children are the processes whose parent is pid.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// pid (name) state parent ...: the name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			pids = append(pids, child)
		}
	}
	return pids
}

// Restart is an orderly restart that does not wait for clients.
func (s *Server) Restart() error {
	s.end(syscall.SIGINT)
	return s.Run()
}

func (s *Server) end(signal os.Signal) {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(signal)
	<-exited
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.end(syscall.SIGQUIT)
	for _, b := range s.beside {
		_ = b.process.Kill()
		<-b.exited
	}
	_ = os.RemoveAll(s.Dir)
}

// Socket is the connection string of the superuser, DSN that of another user.
func (s *Server) Socket(database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s database=%s", s.Dir, s.Port, Admin, database)
}

// DSN is the connection string of a user.
func (s *Server) DSN(user, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", user, Password, s.Port, database)
}

// Exec runs statements as the superuser.
func (s *Server) Exec(database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, s.Socket(database))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	// Without arguments it goes out as it is, many statements at once.
	_, err = c.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Query answers the rows of a query by the superuser as text.
func (s *Server) Query(database, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, s.Socket(database))
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	results, err := c.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, result := range results {
		for _, row := range result.Rows {
			fmt.Fprintf(&out, "%s\n", bytes.Join(row, []byte("|")))
		}
	}
	return out.String(), nil
}

// Dump is what pg_dump writes of a database.
func (s *Server) Dump(database string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, "pg_dump"), append(args, "-h", s.Dir, "-p", strconv.Itoa(s.Port), "-U", Admin, database)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("pg_dump: %w\n%s", err, stderr.String())
	}
	return string(out), err
}

// Set changes a setting of the running server, and returns when new sessions have it.
func (s *Server) Set(name, value string) error {
	if err := s.Exec("postgres", fmt.Sprintf("ALTER SYSTEM SET %s = %s", name, value)); err != nil {
		return err
	}
	if err := s.Exec("postgres", "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got, err := s.Query("postgres", "SHOW "+name); err != nil || strings.TrimSpace(got) == value {
			return err
		}
	}
	return fmt.Errorf("%s is not %s after %v", name, value, startTimeout)
}

// WriteFile writes a file into Dir that the server's user alone reads.
func (s *Server) WriteFile(name string, content []byte) error {
	who, err := asPostgres()
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil || who == nil {
		return err
	}
	return os.Chown(path, int(who.Uid), int(who.Gid))
}
