package host_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// siege is one database, hosts that serve it as processes of their own, and what is done to them while clients decide.
type siege struct {
	t      *testing.T
	dir    string // programs, configuration and data; every process of the siege runs a program from it
	temp   string // the temporary folder of the hosts
	config string
	// plugin is the program of the store.
	plugin string
	hosts  []*besieged
	rounds int
	// got is what clients were given in the round.
	got *acknowledged
	// decisions counts those that were acknowledged and found again.
	decisions int

	seed    uint64
	mu      sync.Mutex
	history []string
	began   time.Time
}

// besieged is the place of one host: whatever serves there.
type besieged struct {
	*siege
	number int
	// program is the name of the host's program.
	program string
	random  *rand.Rand
	host    *program
	url     atomic.Value
}

// fewClients is the number of clients of each host.
const fewClients = 8

func newSiege(t *testing.T, hosts int) *siege {
	t.Helper()
	return newSiegeOn(t, hosts, "store-sqlite", hcl)
}

// newSiegeOn is a siege with another store.
func newSiegeOn(t *testing.T, hosts int, plugin, hcl string) *siege {
	t.Helper()
	s := &siege{t: t, dir: t.TempDir(), temp: t.TempDir(), plugin: plugin, seed: rand.Uint64(), began: time.Now()}
	copyPrograms(t, s.dir, plugin)
	s.config = writeConfig(t, s.dir, hcl)
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(text), quote(pluginDir), quote(s.dir), 1)
	if err := os.WriteFile(s.config, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range hosts {
		s.hosts = append(s.hosts, &besieged{siege: s, number: n, program: "decision-gate", random: rand.New(rand.NewPCG(s.seed, uint64(n)))})
	}
	t.Cleanup(s.tell)
	return s
}

// copyPrograms puts the host and its plugins into the folder, so that what is left of a siege is told from other processes.
func copyPrograms(t *testing.T, dir, store string) {
	t.Helper()
	programs := []string{binary(t), filepath.Join(plugins(t), store), filepath.Join(plugins(t), "runpack-fs")}
	for _, from := range programs {
		in, err := os.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(filepath.Join(dir, filepath.Base(from)), os.O_WRONLY|os.O_CREATE, 0o700)
		if err == nil {
			_, err = io.Copy(out, in)
			err = errors.Join(err, out.Close())
		}
		if err := errors.Join(err, in.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// note keeps what was done and when, for a test that fails.
func (s *siege) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, fmt.Sprintf("%10.3f ", time.Since(s.began).Seconds())+fmt.Sprintf(format, args...))
	s.history = s.history[max(0, len(s.history)-60):]
}

func (s *siege) tell() {
	for _, b := range s.hosts {
		if b.host != nil {
			b.host.kill()
		}
	}
	if !s.t.Failed() {
		return
	}
	s.t.Logf("seed %d; the last of what was done, in seconds since the beginning:\n%s", s.seed, strings.Join(s.history, "\n"))
	for _, b := range s.hosts {
		if b.host != nil {
			s.t.Logf("log of host %d:\n%s", b.number, b.host.lastLog())
		}
	}
}

// open starts a host in its place, and returns when it answers.
func (b *besieged) open() error {
	p, err := launchProgram(filepath.Join(b.dir, b.program), b.config, b.temp)
	if err != nil {
		return err
	}
	b.host = p
	if err := p.announced(); err != nil {
		return err
	}
	b.url.Store(p.url)
	return nil
}

// pause waits a random time below the limit.
func (b *besieged) pause(limit time.Duration) {
	time.Sleep(time.Duration(b.random.Int64N(int64(limit))))
}

// round starts the hosts, has clients of each decide on three new runs while attack is made on each host, ends the hosts
// in order, and checks that nothing was lost and nothing is left.
func (s *siege) round(attack func(*besieged) error) *acknowledged {
	s.t.Helper()
	for _, b := range s.hosts {
		if err := b.open(); err != nil {
			s.t.Fatal(err)
		}
	}
	s.rounds++
	runs := []string{}
	f := &fixture{t: s.t, URL: s.hosts[0].host.url, Dir: s.dir}
	if s.rounds == 1 {
		defineLoop(f)
	}
	for i := range 3 {
		runs = append(runs, s.run("round", i))
		f.must("scenario_start", start(runs[i]), nil)
	}
	got, stop := newAcknowledged(), make(chan struct{})
	s.got = got
	url := func(client int) string { return s.hosts[client/fewClients].url.Load().(string) }
	clients := drive(s.t, url, runs, fewClients*len(s.hosts), stop, got)
	clients.Go(func() { s.startRuns(func() string { return url(0) }, stop) })
	err := s.attackAll(attack)
	close(stop)
	clients.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	// Whoever served last tells what there is.
	f.URL = s.hosts[s.rounds%len(s.hosts)].host.url
	got.checkWith(f, func(dir string) error {
		out, err := exec.Command(filepath.Join(s.dir, "decision-gate"), "runpack", "verify", "--replay", dir).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return err
	})
	for run, log := range got.logs {
		if err := got.history.check(run, log); err != nil {
			s.t.Error(err)
		}
	}
	s.decisions += got.count()
	if !s.t.Failed() { // A long siege would fill the disk.
		for _, run := range runs {
			if err := os.RemoveAll(filepath.Join(s.dir, "exports", run)); err != nil {
				s.t.Error(err)
			}
		}
	}
	s.end()
	return got
}

// run names a run of the round. No other siege has one of the name: the port of a killed host may be given to another's.
func (s *siege) run(kind string, n int) string {
	return fmt.Sprintf("%s-%x-%d-%d", kind, s.seed, s.rounds, n)
}

// startRuns starts runs that nobody else starts, each with one call. A host that lives sends a commit again when its store has
// died: were it done twice, the second would find the run of the first, and the client be told that somebody was faster.
func (s *siege) startRuns(url func() string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(thinking):
		}
		run := s.run("started", n)
		if r, err := post(url(), "scenario_start", start(run)); err == nil && final(r.Error) {
			s.t.Errorf("the start of %s: %+v", run, r.Error)
		}
	}
}

// attackAll attacks every host at the same time, and then waits until each has served once more.
func (s *siege) attackAll(attack func(*besieged) error) error {
	errs := make([]error, len(s.hosts))
	var attackers sync.WaitGroup
	for i, b := range s.hosts {
		attackers.Go(func() {
			if errs[i] = attack(b); errs[i] == nil {
				errs[i] = await("host to be ready", func() bool { return b.ready() })
			}
		})
	}
	attackers.Wait()
	return errors.Join(errs...)
}

// end ends the hosts in order, and sees that nothing of them is left.
func (s *siege) end() {
	s.t.Helper()
	for _, b := range s.hosts {
		if err := b.host.end(); err != nil {
			s.t.Error(err)
		}
	}
	waitFor(s.t, "the plugins to end with their hosts", func() bool { return len(runningIn(s.t, s.dir)) == 0 })
	for dir, allowed := range map[string]string{
		s.temp: "",
		s.dir:  "decision-gate decision-gate-behind " + s.plugin + " runpack-fs host.hcl gate.db bundles evidence exports out",
	} {
		left, err := os.ReadDir(dir)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, entry := range left {
			if !strings.Contains(" "+allowed+" ", " "+entry.Name()+" ") {
				s.t.Errorf("%s is left", entry.Name())
			}
		}
	}
}

// store waits for a store process of the host that is not the one before.
func (b *besieged) store(before int) (pid int, err error) {
	err = await("a new store process", func() bool {
		pid = childNamed(b.t, b.host.cmd.Process.Pid, b.plugin)
		return pid > 0 && pid != before
	})
	return pid, err
}

// killHost kills the host; its plugins end with it.
func (b *besieged) killHost() error {
	pids := children(b.t, b.host.cmd.Process.Pid)
	b.host.kill()
	return await("the plugins of a killed host to end", func() bool {
		for _, pid := range pids {
			if !ended(pid) && commandOf(pid) != "" {
				return false
			}
		}
		return true
	})
}

func stopped(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }
func resumed(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }

// served is a siege whose host has decided, and what was acknowledged. It is ended in order, or killed.
func served(t *testing.T, killed bool) (*siege, *acknowledged) {
	t.Helper()
	s := newSiege(t, 1)
	b := s.hosts[0]
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
	runs := []string{"r1", "r2"}
	defineLoop(f, runs...)
	got, stop := newAcknowledged(), make(chan struct{})
	clients := drive(t, func(int) string { return f.URL }, runs, fewClients, stop, got)
	waitFor(t, "decisions", func() bool { return got.count() > 80 })
	close(stop)
	clients.Wait()
	end := b.host.end
	if killed {
		end = b.killHost
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	return s, got
}

// refusedStart starts a host that must refuse to, and returns what it says.
func refusedStart(t *testing.T, s *siege) string {
	t.Helper()
	p, err := launchProgram(filepath.Join(s.dir, "decision-gate"), s.config, s.temp)
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if p.announced() == nil {
		t.Error("the host starts")
		return ""
	}
	if err := p.cmd.Wait(); err == nil || p.cmd.ProcessState.ExitCode() < 1 {
		t.Errorf("the host ends with %v", err)
	}
	return lastLine(p.log.String())
}

// lastLine is what the host says at its end.
func lastLine(log string) string {
	log = strings.TrimSpace(log)
	return log[strings.LastIndexByte(log, '\n')+1:]
}
