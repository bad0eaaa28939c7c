package host_test

import (
	"encoding/json"
	"net/http"
	"syscall"
	"testing"
)

func storePID(f *fixture) int {
	for _, p := range f.Host.Plugins() {
		if p.Kind == "store" {
			return p.PID
		}
	}
	return 0
}

// TestTwoHosts has eight clients of each of two hosts decide on the same runs in one database, on triggers of their own and
// on the same, while the stores of both are killed. The hosts are in this process, for the race detector to see.
func TestTwoHosts(t *testing.T) {
	dir := t.TempDir()
	hosts := []*fixture{open(t, dir), open(t, dir)}
	runs := []string{"r1", "r2"}
	defineLoop(hosts[0], runs...)
	got, stop := newAcknowledged(), make(chan struct{})
	clients := drive(t, func(c int) string { return hosts[c/fewClients].URL }, runs, 2*fewClients, stop, got)
	killed := map[int]bool{}
	for i := range 6 {
		f := hosts[i%2]
		waitFor(t, "a new store process", func() bool { pid := storePID(f); return pid > 0 && !killed[pid] && f.Host.Ready() })
		before := got.count()
		waitFor(t, "decisions", func() bool { return got.count() >= before+20 })
		pid := storePID(f)
		killed[pid] = true
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range hosts {
		waitFor(t, "readiness", f.Host.Ready)
	}
	close(stop)
	clients.Wait()
	got.check(hosts[1])
	for _, f := range hosts {
		f.stop()
	}
	for pid := range killed {
		if !ended(pid) {
			t.Errorf("killed store process %d is still there", pid)
		}
	}
}

// TestDefinitionsSurvive shows that a restarted host knows its scenarios, and accepts their definition once more.
func TestDefinitionsSurvive(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	defineLoop(f, "r1")
	f.must("scenario_next", next("r1", "t1"), nil)
	if r := f.call("scenario_define", json.RawMessage(`{"spec":`+loop+`}`)); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("a second definition in one process: %+v", r)
	}
	f.stop()

	f = open(t, dir)
	var d decision
	f.must("scenario_next", next("r1", "t2"), &d)
	if d.Decision.Seq != 2 {
		t.Errorf("decision after the restart has seq %d", d.Decision.Seq)
	}
	f.must("scenario_define", json.RawMessage(`{"spec":`+loop+`}`), nil)
	if r := f.call("scenario_define", json.RawMessage(`{"spec":`+loop+`}`)); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("a second definition after the restart: %+v", r)
	}
	other := json.RawMessage(`{"spec":` + loop[:len(loop)-1] + `,"spec_version":"2"}}`)
	if r := f.call("scenario_define", other); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("another definition under the same id: %+v", r)
	}
}

// TestReadiness shows that a host whose store cannot be started again says so.
func TestReadiness(t *testing.T) {
	f := open(t, t.TempDir())
	if status := readyz(t, f.URL); status != http.StatusOK {
		t.Fatalf("readyz answers %d", status)
	}
	// A stopped process answers nothing: only the deadline of its health tells.
	pid := storePID(f)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "readyz to turn red", func() bool { return readyz(t, f.URL) == http.StatusServiceUnavailable })
	waitFor(t, "the host to replace the stopped process", func() bool { return storePID(f) != pid && readyz(t, f.URL) == http.StatusOK })
}

func readyz(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
