package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

//go:embed scenario.json
var scenario string

// client calls one desk.
type client struct {
	*testing.T
	http http.Client
	url  string
}

func newClient(t *testing.T, url string) *client {
	c := &client{T: t, url: url, http: http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// send makes a request to a route and returns the status and the body.
func (c *client) send(method, route, body string) (int, []byte, error) {
	request, err := http.NewRequest(method, c.url+route, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// call calls a tool of the host.
func (c *client) call(tool, arguments string) (json.RawMessage, error) {
	_, body, err := c.send("POST", "/gate/rpc", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":`+arguments+`}}`)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result struct {
			Content []struct{ JSON json.RawMessage }
		}
		Error json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Result.Content) != 1 {
		return nil, fmt.Errorf("%s: %s (%v)", tool, body, err)
	}
	return answer.Result.Content[0].JSON, nil
}

func (c *client) must(tool, arguments string) json.RawMessage {
	c.Helper()
	answer, err := c.call(tool, arguments)
	if err != nil {
		c.Fatal(err)
	}
	return answer
}

func (c *client) start() {
	c.Helper()
	c.must("scenario_define", `{"spec":`+scenario+`}`)
	c.must("scenario_start", `{"scenario_id":"deploy","run_config":{"tenant_id":1,"namespace_id":2,"run_id":"r","scenario_id":"deploy",
		"dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`)
}

func next(trigger string) string {
	return `{"scenario_id":"deploy","request":{"run_id":"r","tenant_id":1,"namespace_id":2,"trigger_id":"` + trigger + `","agent_id":"a","time":{"kind":"unix_millis","value":2}}}`
}

// next asks whether the run may go on, and returns the outcome's kind.
func (c *client) next(trigger string) string {
	c.Helper()
	var answer struct {
		Decision struct{ Outcome struct{ Kind string } }
	}
	if err := json.Unmarshal(c.must("scenario_next", next(trigger)), &answer); err != nil {
		c.Fatal(err)
	}
	return answer.Decision.Outcome.Kind
}

func (c *client) status(method, route, body string, want int) {
	c.Helper()
	if status, answer, err := c.send(method, route, body); err != nil || status != want {
		c.Errorf("%s %s answers %d %s %v, want %d", method, route, status, answer, err, want)
	}
}

// program is the desk as a process of its own.
type program struct {
	*client
	process *exec.Cmd
	data    string
}

func startProgram(t *testing.T, binary, data string) *program {
	t.Helper()
	process := exec.Command(binary, "-listen", "127.0.0.1:0", "-data", data)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), "answers on ")
	if !found {
		t.Fatalf("the program says %q, %v", line, err)
	}
	return &program{newClient(t, url), process, data}
}

// TestDesk goes the way from the first ask to the checked record, with the desk's routes beside the host's.
func TestDesk(t *testing.T) {
	p := startProgram(t, launchtest.Build(t, "."), t.TempDir())
	p.status("GET", "/healthz", "", http.StatusOK)
	p.status("GET", "/gate/healthz", "", http.StatusOK)
	p.status("GET", "/gate/readyz", "", http.StatusOK)
	for _, route := range []string{"/rpc", "/readyz", "/gate/", "/gate/gate/rpc", "/gate/tickets/ops-7", "/tickets/"} {
		p.status("GET", route, "", http.StatusNotFound)
	}
	p.start()
	if outcome := p.next("t1"); outcome != "hold" {
		t.Errorf("without a ticket the outcome is %s", outcome)
	}
	p.status("PUT", "/tickets/..", `{"state":"approved"}`, http.StatusNotFound)
	p.status("PUT", "/tickets/%2e%2e%2fops-7", `{"state":"approved"}`, http.StatusBadRequest)
	p.status("PUT", "/tickets/ops-7", `{"state":`, http.StatusBadRequest)
	p.status("PUT", "/tickets/ops-7", `{"state":"approved"}`, http.StatusNoContent)
	if outcome := p.next("t2"); outcome != "complete" {
		t.Errorf("with the ticket the outcome is %s", outcome)
	}
	out, err := json.Marshal(filepath.Join(p.data, "runpacks", "r"))
	if err != nil {
		t.Fatal(err)
	}
	p.must("runpack_export", `{"scenario_id":"deploy","tenant_id":1,"namespace_id":2,"run_id":"r","output_dir":`+string(out)+`,
		"generated_at":{"kind":"unix_millis","value":3},"include_verification":true}`)
	if report := p.must("runpack_verify", `{"runpack_dir":`+string(out)+`,"manifest_path":"manifest.json"}`); !bytes.Contains(report, []byte(`"status":"pass"`)) {
		t.Errorf("the record does not verify: %s", report)
	}
}

// TestStopLosesNothing ends the program in the midst of calls, in order and by a kill. Every decision that was answered is
// answered again afterwards as it was, and an orderly end cuts no call off.
func TestStopLosesNothing(t *testing.T) {
	binary := launchtest.Build(t, ".")
	data := t.TempDir()
	p := startProgram(t, binary, data)
	p.start()
	answered := map[string]string{}
	last, known := 0, 0 // the last decision, and how many were answered, before each round
	for round, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		var mu sync.Mutex
		var wg sync.WaitGroup
		enough := make(chan struct{})
		ready := sync.OnceFunc(func() { close(enough) })
		for c := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					trigger := fmt.Sprintf("t-%d-%d-%d", round, c, i)
					answer, err := p.call("scenario_next", next(trigger))
					mu.Lock()
					if err == nil {
						answered[trigger] = string(answer)
					}
					n := len(answered)
					mu.Unlock()
					if n >= 20*(round+1) {
						ready()
					}
					if err != nil {
						return
					}
				}
			})
		}
		<-enough
		if err := p.process.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := p.process.Wait(); signal == syscall.SIGTERM && err != nil {
			t.Errorf("the program ends with %v", err)
		}
		p = startProgram(t, binary, data)
		for trigger, want := range answered {
			if got := string(p.must("scenario_next", next(trigger))); got != want {
				t.Fatalf("after signal %v, trigger %s is answered %s, before %s", signal, trigger, got, want)
			}
		}
		// A call that an orderly end cuts off would have decided, and nobody would know.
		trigger := fmt.Sprintf("after-%d", round)
		var after struct{ Decision struct{ Seq int } }
		answer := p.must("scenario_next", next(trigger))
		if err := json.Unmarshal(answer, &after); err != nil {
			t.Fatal(err)
		}
		answered[trigger] = string(answer)
		if signal == syscall.SIGTERM && after.Decision.Seq-last != len(answered)-known {
			t.Errorf("an orderly end: %d decisions were answered, %d were made", len(answered)-known, after.Decision.Seq-last)
		}
		last, known = after.Decision.Seq, len(answered)
	}
}

// TestTwoInOneProcess runs two desks in this process, which share nothing: what one knows the other does not, and the end of
// one is none of the other's.
func TestTwoInOneProcess(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var clients [2]*client
	var stops [2]func()
	for i := range clients {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		data := t.TempDir()
		go func() { ended <- serve(ctx, listener, data, log) }()
		stops[i] = sync.OnceFunc(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("desk %d ends with %v", i, err)
				}
			case <-time.After(2 * drainTimeout):
				t.Errorf("desk %d does not end", i)
			}
		})
		t.Cleanup(stops[i])
		clients[i] = newClient(t, "http://"+listener.Addr().String())
	}
	for _, c := range clients {
		c.start()
	}
	clients[0].status("PUT", "/tickets/ops-7", `{"state":"approved"}`, http.StatusNoContent)
	for i, want := range []string{"complete", "hold"} {
		if outcome := clients[i].next("t"); outcome != want {
			t.Errorf("desk %d: the outcome is %s, want %s", i, outcome, want)
		}
	}
	stops[0]()
	if outcome := clients[1].next("t2"); outcome != "hold" {
		t.Errorf("after the end of the other desk the outcome is %s", outcome)
	}
}
