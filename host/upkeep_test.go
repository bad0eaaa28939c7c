package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// moved is what "store copy --json" answers.
type moved struct {
	OK        bool
	Announced uint64
	Revision  uint64
	Resumed   uint64 `json:"resumed_from"`
	Compared  uint64 `json:"records_compared"`
	Different uint64 `json:"records_different"`
	Runs      uint64
	Steps     uint64
}

// tend runs "decision-gate store", and returns what it wrote and its exit code.
func tend(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(binary(t), append([]string{"store"}, args...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// tended is tend of a command that must succeed, with its answer.
func tended[T any](t *testing.T, args ...string) (answer T) {
	t.Helper()
	stdout, stderr, code := tend(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != 0 {
		t.Fatalf("store %s: code %d, %v\n%s%s", strings.Join(args, " "), code, err, stdout, stderr)
	}
	return answer
}

// deciding keeps runs of the loop busy until it is stopped.
type deciding struct {
	t     *testing.T
	stop  chan struct{}
	wg    sync.WaitGroup
	count atomic.Int64
}

// decisionPause is between two decisions of a client: enough of them come in the time of a copy, and not so many that their
// runpacks take long.
const decisionPause = 5 * time.Millisecond

func decide(t *testing.T, url string, clients, runs int) *deciding {
	d := &deciding{t: t, stop: make(chan struct{})}
	for client := range clients {
		d.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-d.stop:
					return
				case <-time.After(decisionPause):
				}
				run := fmt.Sprintf("r-%d", rand.N(runs))
				if r, err := post(url, "scenario_next", next(run, fmt.Sprintf("t-%d-%d", client, i))); err != nil || r.Error != nil {
					t.Errorf("%v %+v", err, r.Error)
					return
				}
				d.count.Add(1)
			}
		})
	}
	return d
}

func (d *deciding) reach(n int64) {
	d.t.Helper()
	waitFor(d.t, "decisions", func() bool { return d.count.Load() >= n || d.t.Failed() })
}

func (d *deciding) end() {
	d.t.Helper()
	close(d.stop)
	d.wg.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
}

func runNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("r-%d", i))
	}
	return names
}

// exported has a host write the record of a run, and returns its files.
func exported(t *testing.T, f *fixture, run string) map[string]string {
	t.Helper()
	dir := filepath.Join(f.Dir, "exports", run)
	f.must("runpack_export", map[string]any{
		"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": run, "output_dir": dir,
		"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": true,
	}, nil)
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(content)
		return err
	})
	if err != nil || len(files) < 3 {
		t.Fatalf("the export of %s: %d files, %v", run, len(files), err)
	}
	return files
}

// sameRunpacks compares the records of runs as two hosts write them, byte for byte.
func sameRunpacks(t *testing.T, a, b *fixture, runs []string) {
	t.Helper()
	for _, run := range runs {
		one, other := exported(t, a, run), exported(t, b, run)
		for name, content := range one {
			if other[name] != content {
				t.Errorf("run %s: %s differs", run, name)
			}
		}
		if len(one) != len(other) {
			t.Errorf("run %s: %d files and %d", run, len(one), len(other))
		}
	}
}

// TestStoreCopy moves a host from SQLite to PostgreSQL and back while clients decide, with copies that are killed.
func TestStoreCopy(t *testing.T) {
	const runs = 6
	db := startDatabase(t)
	temp, fromDir, toDir, backDir := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	from, to := writeConfig(t, fromDir, hcl), writeConfig(t, toDir, postgresHCL(t, db.dsn))
	host := startProgram(t, from, temp)
	source := &fixture{t: t, URL: host.url, Dir: fromDir}
	names := runNames(runs)
	defineLoop(source, names...)
	d := decide(t, host.url, 2, runs)
	d.reach(500)

	killed := killCopies(t, db, from, to)
	live := tended[moved](t, "copy", "--from", from, "--to", to)
	if !live.OK || live.Runs != runs || live.Revision < live.Announced || live.Resumed == 0 {
		t.Errorf("while clients decide: %+v", live)
	}
	d.end()
	last := tended[moved](t, "copy", "--from", from, "--to", to)
	if last.Resumed < live.Revision || last.Steps != uint64(d.count.Load())+runs {
		t.Errorf("%+v after %d decisions", last, d.count.Load())
	}
	t.Logf("%d copies were killed amid their work; %d decisions, %d records", killed, d.count.Load(), last.Compared)

	target := openWith(t, toDir, postgresHCL(t, db.dsn))
	sameRunpacks(t, source, target, names)
	// The other host goes on with the runs, and they can go back.
	onward := decide(t, target.URL, 2, runs)
	onward.reach(20)
	onward.end()
	back := writeConfig(t, backDir, hcl)
	if again := tended[moved](t, "copy", "--from", to, "--to", back); again.Steps <= last.Steps || again.Runs != runs {
		t.Errorf("back: %+v", again)
	}
	sameRunpacks(t, target, open(t, backDir), names)
	// What a host has written may not be overwritten by what it was before.
	if _, stderr, code := tend(t, "copy", "--from", from, "--to", to); code != 1 || !strings.Contains(stderr, "written to by others") {
		t.Errorf("over a host's store: code %d, %s", code, stderr)
	}
}

// killCopies begins copies and kills them with SIGKILL when they have written something, until two were not at their end.
func killCopies(t *testing.T, db *database, from, to string) (amid int) {
	t.Helper()
	position := func() string {
		rows := db.do("sql SELECT convert_from(body, 'UTF8') FROM decision_gate.other_records WHERE collection = 'store_upkeep'")
		return strings.Join(rows, "")
	}
	const tries = 30
	for range tries {
		last := position()
		cmd := exec.Command(binary(t), "store", "copy", "--from", from, "--to", to)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		running := true
		for running && position() == last {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("a copy ended: %v\n%s", err, stderr.String())
				}
				running = false
			default:
			}
		}
		if !running {
			continue // it was faster
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			continue
		}
		if amid++; amid == 2 {
			return amid
		}
	}
	t.Fatalf("%d of %d copies were killed amid their work", amid, tries)
	return amid
}

// TestStoreBackup backs a store up while clients decide, restores it into the other kind, and compares what both hosts write
// of the runs.
func TestStoreBackup(t *testing.T) {
	const runs = 6
	db := startDatabase(t)
	fromDir, toDir, againDir := t.TempDir(), t.TempDir(), t.TempDir()
	from, to := writeConfig(t, fromDir, hcl), writeConfig(t, toDir, postgresHCL(t, db.dsn))
	source := open(t, fromDir)
	busy := runNames(runs)
	defineLoop(source, append([]string{"quiet"}, busy...)...)
	for i := range 5 {
		source.must("scenario_next", next("quiet", fmt.Sprint("t-", i)), nil)
	}
	d := decide(t, source.URL, 2, runs)
	d.reach(200)
	file := filepath.Join(t.TempDir(), "gate.backup")
	type backup struct {
		Revision, Bytes uint64
		SHA256          string
	}
	made := tended[backup](t, "backup", "--config", from, "-o", file)
	d.reach(d.count.Load() + 50)
	d.end()
	if info, err := os.Stat(file); err != nil || info.Size() != int64(made.Bytes) || info.Mode().Perm() != 0o600 {
		t.Errorf("%+v: %v, %v", made, info, err)
	}
	restored := tended[moved](t, "restore", "--config", to, file)
	if !restored.OK || restored.Runs != runs+1 || restored.Steps < 200 {
		t.Errorf("%+v", restored)
	}
	target := openWith(t, toDir, postgresHCL(t, db.dsn))
	sameRunpacks(t, source, target, []string{"quiet"})
	// The runs that were busy are there as they were at one moment: whole, and they go on.
	for _, run := range busy {
		exported(t, target, run)
		target.must("scenario_next", next(run, "after the restore"), nil)
	}

	// And back, now that nobody writes.
	made = tended[backup](t, "backup", "--config", to, "-o", file)
	again := writeConfig(t, againDir, hcl)
	tended[moved](t, "restore", "--config", again, file)
	sameRunpacks(t, target, open(t, againDir), append(busy, "quiet"))
}

// TestStoreVerify changes what is stored behind the plugin's back, with sums that fit and with ones that do not.
func TestStoreVerify(t *testing.T) {
	db := startDatabase(t)
	dir := t.TempDir()
	f := openWith(t, dir, postgresHCL(t, db.dsn))
	defineLoop(f, runNames(3)...)
	for i := range 30 {
		f.must("scenario_next", next(fmt.Sprint("r-", i%3), fmt.Sprint("t-", i)), nil)
	}
	config := filepath.Join(dir, "host.hcl")
	type verification struct {
		OK       bool
		Runs     uint64
		Steps    uint64
		Findings []struct {
			Run, Record, Problem string
			Step                 uint64
		}
	}
	if v := tended[verification](t, "verify", "--config", config); !v.OK || v.Runs != 3 || v.Steps != 33 {
		t.Errorf("a sound store: %+v", v)
	}
	const step = "k = (SELECT k FROM decision_gate.run_steps WHERE decision_gate.segments(k) = ARRAY['r-1'::bytea, '\\x0000000000000004'])"
	for _, test := range []struct{ name, change, want string }{
		{"a step that fits its sum", `sql UPDATE decision_gate.run_steps SET body = body || ' ', sha256 = sha256(body || ' ') WHERE ` + step, `r-1/0: its chain is broken: steps 1 to 11 are not those that were committed`},
		{"a step that does not", `sql UPDATE decision_gate.run_steps SET body = body || ' ' WHERE ` + step, `r-1/4: a record cannot be read: it is not what was stored`},
		{"a scenario", `sql UPDATE decision_gate.scenarios SET body = body || ' '`, `scenarios of tenant 1, namespace 0: "loop"`},
	} {
		db.do(test.change)
		stdout, stderr, code := tend(t, "verify", "--json", "--config", config)
		var v verification
		if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != 1 || v.OK {
			t.Errorf("%s: code %d, %v\n%s%s", test.name, code, err, stdout, stderr)
			continue
		}
		var found []string
		for _, f := range v.Findings {
			found = append(found, fmt.Sprintf("%s%s/%d: %s", f.Run, f.Record, f.Step, f.Problem))
		}
		if !strings.Contains(strings.Join(found, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", test.name, found, test.want)
		}
	}
}
