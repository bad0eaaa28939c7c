package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// patience is how long a test waits for something that must come.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"decision-gate": main, "rpc": rpcMain, "fetch": fetchMain})
}

// TestScripts runs testdata/script: what a user types, and what comes of it. Beside the commands of testscript there are
//
//	exits N PROGRAM ARGS...     run a program that must end with code N
//	start-host [ARGS...]        run "decision-gate serve --json" until it announces its address, which becomes $RPC
//	signal-host SIGNAL          signal it, and wait until it says that it stops, unless the signal is HUP
//	host-ended N                it must end with code N and leave no process
//	rpc TOOL [FILE]             (a program) call a tool of the host at $RPC, with the arguments in a file
//	fetch URL                   (a program) write what a URL answers
//	rehash DIR                  make every hash of a bundle anew, as somebody does who rewrites one
//	slow-web                    serve http://$SLOW, which answers only after slow-web-release
//	slow-web-asked              wait until it is asked
//	certificates NAME...        write ca.pem, and NAME.pem and NAME.key of that authority
//	says FILE TEXT              wait until a file holds a text
//	take-port                   listen on a port, whose address becomes $TAKEN
//
// Every script finds a sound runpack in bundle/ and the plugins in $PLUGINS.
func TestScripts(t *testing.T) {
	plugins := buildPlugins(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Values[hostOfScript{}], env.Values[webOfScript{}] = new(*running), &slow{asked: make(chan struct{}, 1)}
			env.Setenv("PLUGINS", plugins)
			// Sockets of plugins have short paths, which the scripts' own directories may not allow.
			env.Setenv("TMPDIR", os.TempDir())
			return os.CopyFS(filepath.Join(env.WorkDir, "bundle"), os.DirFS("testdata/bundle"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "start-host": startHost, "signal-host": signalHost, "host-ended": hostEnded, "rehash": rehash, "take-port": takePort,
			"certificates": certificates, "minisign": signFiles, "says": says,
			"slow-web": slowWeb, "slow-web-asked": slowWebAsked, "slow-web-release": slowWebRelease,
		},
	})
}

// buildPlugins builds the plugins that come with the host, the example of one for evidence, the plugins of the conformance kits, which
// can be broken, and the program that writes databases of the open-source Decision Gate, once for all scripts.
func buildPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"plugins/store-sqlite", "plugins/runpack-fs", "examples/evidence-calendar", "plugins/store-sqlite/internal/opensource/makedatabase",
		"sdk/evidence/evidencetest/testdata/provider", "sdk/runpack/runpacktest/testdata/sink", "sdk/store/storetest/testdata/filestore",
		"sdk/auth/authtest/testdata/plugin"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, filepath.Base(program)), "github.com/decision-gate-host/decision-gate-host/"+program)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return dir
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// What a script keeps, by these keys: scripts run side by side, so nothing of one may stand in a variable of this package.
type (
	hostOfScript struct{} // **running
	webOfScript  struct{} // *slow
)

// running is the host of a script.
type running struct {
	*exec.Cmd
	ended chan error
	// plugins are the processes that it had when it was first signalled.
	plugins []string
}

func startHost(ts *testscript.TestScript, _ bool, args []string) {
	log, err := os.Create(ts.MkAbs("host.log"))
	ts.Check(err)
	host := &running{Cmd: exec.Command(filepath.Join(binDir(ts), "decision-gate"), append([]string{"serve", "--json"}, args...)...), ended: make(chan error, 1)}
	host.Dir, host.Stderr = ts.MkAbs("."), log
	host.Env = []string{"PLUGINS=" + ts.Getenv("PLUGINS"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	out, err := host.StdoutPipe()
	ts.Check(err)
	ts.Check(host.Start())
	announced := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			announced <- lines.Text()
		}
		host.ended <- host.Wait()
		log.Close()
	}()
	ts.Defer(func() { _ = host.Process.Kill() })
	*ts.Value(hostOfScript{}).(**running) = host
	select {
	case line := <-announced:
		var a struct{ RPC string }
		ts.Check(json.Unmarshal([]byte(line), &a))
		ts.Setenv("RPC", a.RPC)
	case err := <-host.ended:
		ts.Fatalf("the host ended: %v\n%s", err, ts.ReadFile("host.log"))
	case <-time.After(patience):
		ts.Fatalf("the host does not announce itself\n%s", ts.ReadFile("host.log"))
	}
}

// binDir is where testscript keeps the programs of this test.
func binDir(ts *testscript.TestScript) string {
	dir, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	return dir
}

func signalHost(ts *testscript.TestScript, _ bool, args []string) {
	host := *ts.Value(hostOfScript{}).(**running)
	if host.plugins == nil {
		host.plugins = children(host.Process.Pid)
	}
	if len(host.plugins) == 0 {
		ts.Fatalf("the host has no plugins")
	}
	ts.Check(host.Process.Signal(map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}[args[0]]))
	if args[0] == "HUP" {
		return // it goes on
	}
	eventually(ts, "the host does not say that it stops", func() bool { return strings.Contains(ts.ReadFile("host.log"), "stopping") })
}

func hostEnded(ts *testscript.TestScript, _ bool, args []string) {
	host := *ts.Value(hostOfScript{}).(**running)
	select {
	case err := <-host.ended:
		if code := strconv.Itoa(host.ProcessState.ExitCode()); code != args[0] {
			ts.Fatalf("exit code %s (%v), want %s\n%s", code, err, args[0], ts.ReadFile("host.log"))
		}
	case <-time.After(patience):
		ts.Fatalf("the host does not end\n%s", ts.ReadFile("host.log"))
	}
	for _, pid := range host.plugins {
		eventually(ts, "a plugin outlives its host", func() bool { return !alive(pid) })
	}
}

func eventually(ts *testscript.TestScript, failure string, done func() bool) {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s", failure)
		}
	}
}

// says waits until a file, which a process in the background writes, holds a text.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: says FILE TEXT")
	}
	eventually(ts, args[0]+" does not say "+args[1], func() bool {
		content, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		return strings.Contains(string(content), args[1])
	})
}

// children are the processes that a process has started.
func children(pid int) []string {
	var all []string
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		content, _ := os.ReadFile(list)
		all = append(all, strings.Fields(string(content))...)
	}
	return all
}

// alive reports whether a process runs; a zombie does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// rpcMain is the program rpc: a client in a few lines. It prints the tool's result, or ends with code 1 and the error.
func fetchMain() {
	response, err := http.Get(os.Args[1])
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err == nil {
		_, err = io.Copy(os.Stdout, response.Body)
	}
	if err != nil {
		fail(err)
	}
}

func rpcMain() {
	arguments := json.RawMessage("{}")
	if len(os.Args) > 2 {
		content, err := os.ReadFile(os.Args[2])
		if err != nil {
			fail(err)
		}
		arguments = content
	}
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": os.Args[1], "arguments": arguments},
	})
	if err != nil {
		fail(err)
	}
	response, err := http.Post(os.Getenv("RPC"), "application/json", strings.NewReader(string(body)))
	if err != nil {
		fail(err)
	}
	var answer struct {
		Result struct {
			Content []struct{ JSON json.RawMessage }
		}
		Error json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		fail(err)
	}
	if len(answer.Result.Content) != 1 {
		fail(fmt.Errorf("%s", answer.Error))
	}
	fmt.Println(string(answer.Result.Content[0].JSON))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func rehash(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	path := filepath.Join(dir, runpack.DefaultManifest)
	content, err := os.ReadFile(path)
	ts.Check(err)
	v, err := canonical.Parse(content)
	ts.Check(err)
	var m runpack.Manifest
	ts.Check(canonical.Decode(v, &m))
	for i := range m.Integrity.FileHashes {
		file := &m.Integrity.FileHashes[i]
		content, err := os.ReadFile(filepath.Join(dir, file.Path))
		ts.Check(err)
		file.Hash = canonical.HashBytes(content)
		m.Artifacts[i].Hash = file.Hash
	}
	m.Integrity.RootHash = canonical.Hash(m.Integrity.FileHashes)
	ts.Check(os.WriteFile(path, canonical.Append(nil, m, canonical.Canonical), 0o600))
}

func takePort(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	ts.Setenv("TAKEN", listener.Addr().String())
}

// slow is a web server that keeps whoever asks it waiting.
type slow struct {
	asked   chan struct{}
	held    atomic.Pointer[context.Context]
	release context.CancelFunc // nil before slow-web
}

// slowWeb starts the server of a script, or makes it slow again.
func slowWeb(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(webOfScript{}).(*slow)
	if s.release == nil {
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s.asked <- struct{}{}
			select {
			case <-(*s.held.Load()).Done():
			case <-r.Context().Done(): // whoever asked is gone
			}
		}))
		ts.Defer(func() { s.release(); server.CloseClientConnections(); server.Close() })
		ts.Setenv("SLOW", strings.TrimPrefix(server.URL, "http://"))
	}
	held, release := context.WithCancel(context.Background())
	s.held.Store(&held)
	s.release = release
}

func slowWebAsked(ts *testscript.TestScript, _ bool, _ []string) {
	select {
	case <-ts.Value(webOfScript{}).(*slow).asked:
	case <-time.After(patience):
		ts.Fatalf("nobody asks")
	}
}

func slowWebRelease(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(webOfScript{}).(*slow).release()
}
