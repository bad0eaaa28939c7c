package evidence

import (
	"bufio"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// The recordings of this file were made with the open-source Decision Gate: the files of the input_file lines lay beneath
// the root of the json provider.

// recordings calls visit with each line of a file of testdata.
func recordings(t *testing.T, name string, visit func(t *testing.T, line int, v canonical.Value)) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	count := 0
	for lines.Scan() {
		count++
		v, err := canonical.ParseRecord(lines.Bytes()) // a result may be as deep as a document
		if err != nil {
			t.Fatalf("%s:%d: %v", name, count, err)
		}
		visit(t, count, v)
	}
	if err := lines.Err(); err != nil || count < 10 {
		t.Fatalf("%s: %d lines: %v", name, count, err)
	}
}

func decode[T any](t *testing.T, v canonical.Value) (out T) {
	t.Helper()
	if err := canonical.Decode(v, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func member(t *testing.T, v canonical.Value, name string) canonical.Value {
	t.Helper()
	m, ok := v.Member(name)
	if !ok {
		t.Fatalf("no member %s", name)
	}
	return m
}

func text(v canonical.Value) string {
	s, _ := v.Text()
	return s
}

// recordedRegistry is the configuration of the recordings, with the defaults of contract §0.6 and §10.4.
func recordedRegistry(t *testing.T, root string) *Registry {
	t.Helper()
	return newRegistry(t, Options{
		Time: &TimeOptions{AllowLogical: true},
		Env:  &EnvOptions{MaxKeyBytes: 255, MaxValueBytes: 65536},
		JSON: &JSONOptions{Root: root, RootID: "system-tests-fixtures", MaxBytes: 1 << 20, AllowYAML: true},
		HTTP: &HTTPOptions{Timeout: 5 * time.Second, MaxResponseBytes: 1 << 20, UserAgent: DefaultUserAgent,
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	})
}

func newRegistry(t *testing.T, options Options) *Registry {
	t.Helper()
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// places is what this host adds to a message: where the wrong value is.
var places = regexp.MustCompile(` at "[^"]*"`)

func sameRefusal(t *testing.T, where string, err error, want canonical.Value) {
	t.Helper()
	got := ""
	if err != nil {
		got = places.ReplaceAllString(err.Error(), "")
	}
	if got != text(want) {
		t.Errorf("%s: got %q, recorded %q", where, got, text(want))
	}
}

func TestRecordedEvidence(t *testing.T) {
	root := t.TempDir()
	r := recordedRegistry(t, root)
	recordings(t, "evidence.jsonl", func(t *testing.T, line int, v canonical.Value) {
		if file, ok := v.Member("input_file"); ok {
			if err := os.WriteFile(filepath.Join(root, text(file)), []byte(text(member(t, v, "bytes"))), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		q := decode[gate.EvidenceQuery](t, member(t, v, "query"))
		where := string(canonical.AppendValue(nil, member(t, v, "query"), canonical.Declared))
		refusal, refused := v.Member("error")
		err := r.ValidateQuery(q)
		if refused || err != nil {
			message, _ := refusal.Member("message")
			sameRefusal(t, where, err, message)
			return
		}
		ec := gate.EvidenceContext{TriggerTime: gate.Timestamp{Kind: gate.UnixMillis}}
		if at, ok := v.Member("trigger_time"); ok {
			ec.TriggerTime = decode[gate.Timestamp](t, at)
		}
		var answer gate.Answer
		answer.Result, answer.Err = r.Query(t.Context(), q, ec)
		got := string(canonical.Append(nil, Settle(answer), canonical.Declared))
		want := string(canonical.AppendValue(nil, member(t, v, "result"), canonical.Declared))
		if got != want {
			t.Errorf("line %d: %s\n got      %s\n recorded %s", line, where, got, want)
		}
	})
}

// TestRecordedComparators replays the comparator recordings, which were made on json.path.
func TestRecordedComparators(t *testing.T) {
	r := recordedRegistry(t, t.TempDir())
	params := canonical.NewObject([]canonical.Member{{Name: "file", Value: canonical.NewString("a.json")}})
	recordings(t, "comparators.jsonl", func(t *testing.T, line int, v canonical.Value) {
		c := gate.ConditionSpec{Query: gate.EvidenceQuery{ProviderID: "json", CheckID: "path", Params: &params}}
		c.Comparator = decode[gate.Comparator](t, member(t, v, "comparator"))
		if expected, ok := v.Member("expected"); ok && !expected.IsNull() {
			c.Expected = &expected
		}
		want, _ := v.Member("error")
		sameRefusal(t, string(canonical.AppendValue(nil, v, canonical.Declared)), r.ValidateCondition(c), want)
	})
}

func TestRecordedDefinitions(t *testing.T) {
	r := recordedRegistry(t, t.TempDir())
	recordings(t, "define.jsonl", func(t *testing.T, line int, v canonical.Value) {
		var err error
		for _, c := range decode[[]gate.ConditionSpec](t, member(t, v, "conditions")) {
			if err = r.ValidateCondition(c); err != nil {
				break
			}
		}
		want, _ := v.Member("error")
		sameRefusal(t, string(canonical.AppendValue(nil, v, canonical.Declared)), err, want)
	})
}
