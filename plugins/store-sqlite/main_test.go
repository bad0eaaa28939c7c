package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest"
)

// Package launch starts plugins from one thread that lives as long as the process, so that no plugin ends with a thread.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread"))
}

func config(dir string) any { return map[string]any{"path": filepath.Join(dir, "dg.db")} }

func TestStore(t *testing.T) {
	storetest.Test(t, storetest.Plugin{Package: ".", Config: config})
}

// kitOnNosync makes a run of this test binary try the kit on the plugin that does not sync.
const kitOnNosync = "STORE_SQLITE_KIT_ON_NOSYNC"

// The kit is worth something only when it fails a store that answers before its data is on the disk. It runs in a
// process of its own, because there its failures are failures.
func TestKitCatchesMissingSyncs(t *testing.T) {
	if os.Getenv(kitOnNosync) != "" {
		storetest.Test(t, storetest.Plugin{Package: "./internal/nosync", Config: config})
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$/^sync-", "-test.short", "-test.v")
	cmd.Env = append(os.Environ(), kitOnNosync+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("the kit finds nothing wrong with a store that never syncs:\n%s", out)
	}
	for _, check := range []string{"sync-before-answer", "sync-many-writers", "sync-error"} {
		if !strings.Contains(string(out), "--- FAIL: "+t.Name()+"/"+check) {
			t.Errorf("check %s does not notice that nothing is synced:\n%s", check, out)
		}
	}
}

// Other users of the machine read neither the database nor what lies beside it.
func TestFilesAreForTheirUserAlone(t *testing.T) {
	dir := t.TempDir()
	p := launchtest.Start(t, launch.Spec{Path: launchtest.Build(t, ".")}, config(dir))
	commit := store.Commit{ID: [16]byte{1}, Ops: []store.Op{{Kind: store.OpPut, Key: store.Key{Collection: "runs", Path: [][]byte{{}}}, Body: []byte("secret")}}}
	if _, err := store.NewClient(p.Conn()).Commit(t.Context(), []store.Commit{commit}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dg.db", "dg.db-wal", "dg.db-shm"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

// An operator adopts a file from the command line.
func TestAdoptCommand(t *testing.T) {
	program, dir := launchtest.Build(t, "."), t.TempDir()
	path := filepath.Join(dir, "dg.db")
	out, err := exec.Command(program, "adopt", path).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there is no database") {
		t.Errorf("%v: %s", err, out)
	}
	p := launchtest.Start(t, launch.Spec{Path: program}, config(dir))
	p.Kill(5 * time.Second)
	if out, err := exec.Command(program, "adopt", path).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
