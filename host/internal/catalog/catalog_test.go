package catalog

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func key(path string) store.Key {
	return store.Key{Collection: "runs", Tenant: 1, Namespace: 2, Path: [][]byte{[]byte(path)}}
}

func add(id byte, path string) store.Commit {
	return store.Commit{ID: [16]byte{id}, Ops: []store.Op{{Kind: store.OpAdd, Key: key(path), Delta: 1, Max: store.MaxCounter}}}
}

func TestOpen(t *testing.T) {
	t.Setenv("CATALOG_TEST_SECRET", "s3cret")
	t.Setenv("CATALOG_TEST_ALLOWED", "yes")
	p := storePlugin("store", nil)
	p.Env = []string{"CATALOG_TEST_ALLOWED", "CATALOG_TEST_UNSET"}
	c, log := open(t, p, testPlugin("runpack", nil, "runpack"))
	if !c.Ready() {
		t.Errorf("not ready: %+v", c.Status())
	}
	status := c.Status()[0]
	want := Status{Kind: "store", Name: "main", Plugin: "store-test", Version: "1.2.3", State: Ready, PID: status.PID}
	if diff := cmp.Diff(want, status); diff != "" || status.PID == 0 {
		t.Error(diff, status)
	}
	if _, err := c.Store().Commit(t.Context(), []store.Commit{add(1, "n"), add(1, "n"), add(2, "n")}); err != nil {
		t.Fatal(err)
	}
	records, err := c.Store().Get(t.Context(), []store.Key{key("n"), key("absent")})
	if err != nil || string(records[0].Body) != "2" || records[1].Version != 0 {
		t.Errorf("got %+v, %v", records, err)
	}
	if d, err := c.Store().Describe(t.Context()); err != nil || d.MaxOps != store.MaxOps {
		t.Errorf("got %+v, %v", d, err)
	}
	if id, err := c.Runpack().Begin(t.Context(), runpack.Key{Tenant: 1, SpecSHA256: strings.Repeat("0", 64)}, nil); err != nil || id != "id" {
		t.Errorf("got %q, %v", id, err)
	}
	// The plugin has logged a warning that names what it found in its environment.
	eventually(t, "the plugin's log line", func() bool { return strings.Contains(log.String(), "opened") })
	wantContains(t, log.String(), "level=WARN msg=opened plugin=store/main", "allowed=yes", `secret_seen=""`)
	if n := strings.Count(log.String(), "plugin is not pinned"); n != 2 {
		t.Errorf("%d plugins of 2 are said to be unpinned", n)
	}
}

// TestRefusals opens what must not run, and expects to be told why.
func TestRefusals(t *testing.T) {
	writable := filepath.Join(t.TempDir(), "writable")
	if err := os.Mkdir(writable, 0o777); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(binDir, "plugin"), filepath.Join(writable, "inside"), 0o755)
	if err := os.Chmod(writable, 0o777); err != nil {
		t.Fatal(err)
	}
	loose := filepath.Join(t.TempDir(), "loose")
	copyFile(t, filepath.Join(binDir, "plugin"), loose, 0o775)
	plain := filepath.Join(t.TempDir(), "plain")
	copyFile(t, filepath.Join(binDir, "plugin"), plain, 0o644)

	command := func(name ...string) func(*config.Plugin, *Options) {
		return func(p *config.Plugin, _ *Options) { p.Command = name }
	}
	tests := []struct {
		name   string
		change func(*config.Plugin, *Options)
		want   []string
	}{
		{"no such command", command("store-x"), []string{`plugin "store/main"`, `no command "store-x"`, "plugin_dir", binDir}},
		{"no such interpreter", command("no-such-interpreter", "x.py"), []string{"the folders of PATH"}},
		{"no such path", command("./bin/store-x"), []string{"bin/store-x; a command", "relative to the folder of the configuration"}},
		{"directory writable", command(filepath.Join(writable, "inside"), "store"), []string{"written by other users", "chmod go-w " + writable}},
		{"program writable", command(loose, "store"), []string{"chmod go-w " + loose}},
		{"not executable", command(plain, "store"), []string{"chmod +x " + plain}},
		{"directory", command(writable), []string{"is not a file but a folder"}},
		{"wrong pin", func(p *config.Plugin, _ *Options) { p.SHA256 = strings.Repeat("0a", 32) }, []string{"correct or remove sha256", strings.Repeat("0a", 32)}},
		{"pin required", func(_ *config.Plugin, o *Options) { o.RequirePins = true }, []string{"has no pin", "plugin pin"}},
		{"garbage", command("plugin", "garbage"), []string{"no valid handshake", `"hello world"`}},
		{"exits at once", command("plugin", "exit"), []string{"exit code 3", "no such licence"}},
		{"hangs", func(p *config.Plugin, _ *Options) {
			p.Command, p.StartTimeout = config.Command{"plugin", "hang"}, 200*time.Millisecond
		}, []string{"not ready in time", "give it more with start_timeout, now 200ms"}},
		{"wrong kind", command("plugin", "runpack"), []string{"runpack-test is a runpack plugin", `plugin "runpack" "main"`}},
		{"settings refused by the plugin", func(p *config.Plugin, _ *Options) { p.Config.JSON = []byte(`{"password":"wrong"}`) }, []string{"refuses its settings", "config password"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := storePlugin("store", nil)
			o := options(&testLog{}, p)
			test.change(p, &o)
			c, err := Open(t.Context(), o)
			if err == nil {
				_ = c.Close(t.Context())
				t.Fatal("opened")
			}
			wantContains(t, err.Error(), test.want...)
			if n := strings.Count(err.Error(), `plugin "store/main"`); n != 1 {
				t.Errorf("the plugin is named %d times: %v", n, err)
			}
		})
	}
}

// TestSettingsNotTaken has a plugin whose backend does not open: it is named, told apart from one that refuses its settings,
// and killed.
func TestSettingsNotTaken(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	log := &testLog{}
	c, err := Open(ctx, options(log, storePlugin("store", map[string]any{"password": "hang on open"})))
	if err == nil {
		_ = c.Close(t.Context())
		t.Fatal("opened")
	}
	wantContains(t, err.Error(), `plugin "store/main": it has not taken its settings in time`)
}

// TestCheck finds what Open would refuse, and more than one thing at a time, while nothing is started.
func TestCheck(t *testing.T) {
	cfg, err := config.Parse([]byte(`plugin "store" "main" {
  command = "./absent"
  config {
    sise = file("absent")
  }
}
plugin "runpack" "main" {
  command = ["plugin", "store"]
  sha256  = "`+strings.Repeat("0a", 32)+`"
}`), "host.hcl")
	if err != nil {
		t.Fatal(err)
	}
	log := &testLog{}
	err = Check(options(log, cfg.Plugins...))
	wantContains(t, err.Error(), "on host.hcl line 2, column 13", "/absent; a command", "on host.hcl line 4, column 12", "cannot read file", "on host.hcl line 9", "correct or remove sha256")
	if log.String() != "" {
		t.Errorf("something was started:\n%s", log)
	}
	good := options(log, storePlugin("store", nil))
	if err := Check(good); err != nil {
		t.Error(err)
	}
	if good.Lock, err = Pin(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if err := Check(good); err != nil {
		t.Error(err)
	}
	good.Lock.Plugins[0].SHA256 = strings.Repeat("0b", 32)
	wantContains(t, Check(good).Error(), "decision-gate.lock.hcl says "+strings.Repeat("0b", 32), "plugin pin")
}

func copyFile(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(to, mode); err != nil {
		t.Fatal(err)
	}
}

// TestOneRefusedEndsAll opens a good plugin with a bad one and expects no process to be left.
func TestOneRefusedEndsAll(t *testing.T) {
	log := &testLog{}
	_, err := Open(t.Context(), options(log, storePlugin("store", nil), testPlugin("runpack", nil, "exit")))
	if err == nil {
		t.Fatal("opened")
	}
	_, after, found := strings.Cut(log.String(), "pid=")
	if !found {
		t.Fatalf("the store was not started:\n%s", log)
	}
	pid, _ := strconv.Atoi(strings.Fields(after)[0])
	if alive(pid) {
		t.Errorf("process %d is left", pid)
	}
}

// TestSettingsWithLines checks settings against the manifest of the running plugin, and with a lock file before it runs.
func TestSettingsWithLines(t *testing.T) {
	cfg, err := config.Parse([]byte(`plugin "store" "main" {
  command = ["plugin", "store"]
  config {
    sise = 3
  }
}`), "host.hcl")
	if err != nil {
		t.Fatal(err)
	}
	o := options(&testLog{}, cfg.Plugins...)
	want := []string{"on host.hcl line 4, column 5", `Did you mean "size"?`}
	_, err = Open(t.Context(), o)
	wantContains(t, err.Error(), want...)

	if o.Lock, err = Pin(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	log := &testLog{}
	o.Logger = options(log).Logger
	_, err = Open(t.Context(), o)
	wantContains(t, err.Error(), want...)
	if strings.Contains(log.String(), "plugin") {
		t.Errorf("something was started:\n%s", log)
	}
}

func TestPin(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "arg")
	copyFile(t, "main_test.go", script, 0o644)
	p := testPlugin("store", nil, "store", "arg")
	p.Dir = dir
	o := options(&testLog{}, p)
	lock, err := Pin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	locked := lock.Find("store", "main")
	if locked.Plugin != "store-test" || locked.Version != "1.2.3" || len(locked.SHA256) != 64 || len(locked.Files["arg"]) != 64 || len(locked.ConfigSchema().Attributes) != 4 {
		t.Errorf("got %+v", locked)
	}
	path := filepath.Join(dir, config.LockFile)
	if err := config.WriteLock(path, lock); err != nil {
		t.Fatal(err)
	}
	if o.Lock, err = config.LoadLock(path); err != nil {
		t.Fatal(err)
	}
	o.RequirePins = true
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}

	for name, test := range map[string]struct {
		change func(*config.Plugin, *config.Locked)
		want   string
	}{
		"another sum":     {func(_ *config.Plugin, l *config.Locked) { l.SHA256 = strings.Repeat("0b", 32) }, "not the pinned one"},
		"two sums":        {func(p *config.Plugin, _ *config.Locked) { p.SHA256 = strings.Repeat("0b", 32) }, "remove the wrong one"},
		"another script":  {func(_ *config.Plugin, l *config.Locked) { l.Files = map[string]string{"arg": strings.Repeat("0b", 32)} }, "the SHA-256 of arg is"},
		"unknown script":  {func(_ *config.Plugin, l *config.Locked) { l.Files = nil }, "does not name"},
		"another command": {func(p *config.Plugin, _ *config.Locked) { p.Command = config.Command{"plugin", "store", "--x"} }, "was written for"},
		"another name":    {func(_ *config.Plugin, l *config.Locked) { l.Name = "other" }, "has no entry for it"},
		"another version": {func(_ *config.Plugin, l *config.Locked) { l.Version = "1.2.2" }, "names store-test 1.2.2"},
	} {
		plugin, entry := *p, *o.Lock.Plugins[0]
		test.change(&plugin, &entry)
		changed := o
		changed.Plugins, changed.Lock = []*config.Plugin{&plugin}, &config.Lock{Plugins: []*config.Locked{&entry}}
		c, err := Open(t.Context(), changed)
		if err == nil {
			_ = c.Close(t.Context())
			t.Errorf("%s: opened", name)
			continue
		}
		wantContains(t, err.Error(), test.want)
	}
}

// TestNoOrphan kills a host and expects its plugin to end.
func TestNoOrphan(t *testing.T) {
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), childEnv+"="+binDir)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, convErr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || convErr != nil || !alive(pid) {
		t.Fatalf("the host said %q: %v", line, err)
	}
	_ = host.Process.Kill()
	_ = host.Wait()
	eventually(t, "the plugin's end", func() bool { return !alive(pid) })
}

func TestClose(t *testing.T) {
	c, _ := open(t, storePlugin("store", nil))
	client, pid := c.Store(), c.Status()[0].PID
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if alive(pid) || c.Ready() || c.Status()[0].State != Stopped {
		t.Errorf("not stopped: %+v", c.Status())
	}
	begun := time.Now()
	if _, err := client.Get(t.Context(), []store.Key{key("a")}); !fault.Is(err, fault.Unavailable) || time.Since(begun) > time.Second {
		t.Errorf("a call after Close: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestCloseHangs has a plugin that drains, and whose backend then does not close: it is killed, and that is told.
func TestCloseHangs(t *testing.T) {
	c, _ := open(t, storePlugin("store", map[string]any{"password": "hang on close"}))
	pid := c.Status()[0].PID
	if err := c.Close(t.Context()); err == nil || !strings.HasSuffix(err.Error(), `plugin "store/main": it did not end within 1s of being asked to, and was killed`) {
		t.Errorf("closed with %v", err)
	}
	if alive(pid) {
		t.Errorf("process %d is left", pid)
	}
}

// TestCloseOfAHungPlugin has a call in flight and a backend whose Close hangs.
func TestCloseOfAHungPlugin(t *testing.T) {
	c, _ := open(t, storePlugin("store", map[string]any{"password": "hang on close"}))
	call := make(chan error, 1)
	go func() {
		_, err := c.Store().Get(context.Background(), []store.Key{key("hang")})
		call <- err
	}()
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := c.Close(ctx); err == nil {
		t.Error("a plugin with a hanging call drained")
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("closing took %s", took)
	}
	if err := <-call; err == nil {
		t.Error("the hanging call succeeded")
	}
}
