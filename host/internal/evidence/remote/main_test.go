package remote

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// provider makes this test binary a provider that behaves as the next argument says.
const provider = "provider"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == provider {
		provide(os.Args[2], os.Args[3:])
		return
	}
	// The thread from which programs are started must live as long as the host.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread"))
}

// asker is what a provider knows of the question.
type asker struct {
	ID     json.RawMessage
	Params struct {
		Arguments struct {
			Query   gate.EvidenceQuery
			Context gate.EvidenceContext
		}
	}
}

// behaviours are what the provider does with a question; done ends it.
var behaviours = map[string]func(q heard, args []string) (done bool){
	"answer": func(q heard, _ []string) bool { reply(q.id, os.Getpid()); return false },
	"environment": func(q heard, _ []string) bool {
		wd, _ := os.Getwd()
		reply(q.id, strings.Join(append(os.Environ(), wd), "|"))
		return false
	},
	"no id": func(q heard, _ []string) bool {
		send(`{"result":{"content":[{"type":"json","json":{}}]}}`)
		return false
	},
	"wrong id": func(q heard, _ []string) bool { reply(json.RawMessage(`"other"`), 1); return false },
	"twice":    func(q heard, _ []string) bool { reply(q.id, q.n); reply(q.id, -q.n); return false },
	"hang":     func(heard, []string) bool { return false },
	"exit":     func(heard, []string) bool { os.Exit(3); return true },
	"close": func(heard, []string) bool {
		os.Stdout.Close()
		time.Sleep(time.Minute)
		return true
	},
	"close and exit": func(heard, []string) bool {
		os.Stdout.Close()
		time.Sleep(20 * time.Millisecond)
		os.Exit(3)
		return true
	},
	"flood": func(q heard, _ []string) bool {
		_, _ = os.Stderr.Write(bytes.Repeat([]byte("noise\n"), 1<<18))
		reply(q.id, q.n)
		return false
	},
	"child": func(q heard, _ []string) bool {
		child := exec.Command("/bin/sleep", "60")
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		reply(q.id, child.Process.Pid)
		return false
	},
	"size": func(q heard, args []string) bool {
		size, _ := strconv.Atoi(args[0])
		body := result(q.id, 1)
		send(body + strings.Repeat(" ", size-len(body)))
		return false
	},
	// The first process of a folder sends its argument as it is, and the next ones answer.
	"first": func(q heard, args []string) bool {
		if !firstHere() {
			reply(q.id, os.Getpid())
			return false
		}
		raw, _ := strconv.Unquote(args[0])
		_, _ = io.WriteString(os.Stdout, raw)
		return len(args) > 1
	},
}

// firstHere says whether this is the first process in its folder.
func firstHere() bool {
	mark, err := os.OpenFile("first", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	mark.Close()
	return true
}

// heard is the id of a question and its number.
type heard struct {
	id json.RawMessage
	n  int
}

func provide(behaviour string, args []string) {
	switch behaviour {
	case "exit at once":
		os.Exit(4)
	case "deaf":
		time.Sleep(time.Minute)
	case "early":
		if firstHere() {
			reply(json.RawMessage(`1`), 666)
		}
	}
	in := bufio.NewReader(os.Stdin)
	for n := 1; ; n++ {
		body, err := readFrame(in)
		if err != nil {
			return // the host is gone
		}
		var q asker
		if err := json.Unmarshal(body, &q); err != nil || bytes.HasSuffix(body, []byte("\n")) {
			os.Exit(5)
		}
		act := behaviours[behaviour]
		if act == nil {
			act = behaviours["answer"]
		}
		if act(heard{q.ID, n}, args) {
			return
		}
	}
}

func result(id json.RawMessage, value any) string {
	text, _ := json.Marshal(value)
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"json","json":{"value":{"kind":"json","value":%s}}}]}}`, id, text)
}

func send(body string) { _, _ = os.Stdout.Write(newFrame([]byte(body))) }

func reply(id json.RawMessage, value any) { send(result(id, value)) }

// programOptions run this test binary as a provider, in a folder of its own.
func programOptions(t *testing.T, behaviour string, args ...string) ProgramOptions {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	return ProgramOptions{
		Name: "test", Path: self, Args: append([]string{provider, behaviour}, args...), Dir: t.TempDir(),
		RequestTimeout: 20 * time.Second, delay: time.Minute,
	}
}

func startProgram(t *testing.T, options ProgramOptions) *Program {
	t.Helper()
	p, err := StartProgram(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// anything is a question whose answer does not depend on it.
var anything = gate.EvidenceQuery{ProviderID: "test", CheckID: "value"}

var somewhere = gate.EvidenceContext{
	TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s", StageID: "st", TriggerID: "t",
	TriggerTime: gate.Timestamp{Kind: gate.Logical, Tick: 5},
}

// number is an answer that is a number.
func number(t *testing.T, result gate.EvidenceResult, err error) int64 {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if result.Value == nil {
		t.Fatal("no value")
	}
	n, ok := result.Value.JSON.Int()
	if !ok {
		t.Fatalf("%+v is no number", result.Value)
	}
	return n
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || err.Error() != text {
		t.Errorf("got %v, want %s", err, text)
	}
}
