package evidence

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	plugin "github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// answering is a plugin whose answer is given.
type answering func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error)

func (a answering) Contract(context.Context) (json.RawMessage, error) { return nil, nil }
func (a answering) Close() error                                      { return nil }
func (a answering) Query(ctx context.Context, q plugin.Query, c plugin.Context) (plugin.Result, error) {
	return a(ctx, q, c)
}

func parsed(t testing.TB, text string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var unixTime = gate.EvidenceContext{TriggerTime: gate.Timestamp{Kind: gate.UnixMillis, Millis: 5}}

func TestPluginIsAsked(t *testing.T) {
	correlation := gate.CorrelationID("c")
	params := parsed(t, `{"b":1.0,"a":[1,1e2,18446744073709551615]}`)
	q := gate.EvidenceQuery{ProviderID: "p", CheckID: "c", Params: &params}
	for _, test := range []struct {
		in   gate.EvidenceContext
		want plugin.Context
	}{
		{unixTime, plugin.Context{Time: plugin.Time{UnixMillis: 5}}},
		{
			gate.EvidenceContext{TenantID: 1, NamespaceID: 2, RunID: "r", ScenarioID: "s", StageID: "st", TriggerID: "t", TriggerTime: gate.Timestamp{Kind: gate.Logical, Tick: 1<<64 - 1}, CorrelationID: &correlation},
			plugin.Context{Tenant: 1, Namespace: 2, Run: "r", Scenario: "s", Stage: "st", Trigger: "t", Time: plugin.Time{Logical: true, Tick: 1<<64 - 1}, Correlation: "c"},
		},
	} {
		p := NewPlugin(answering(func(ctx context.Context, q plugin.Query, c plugin.Context) (plugin.Result, error) {
			// 1.0 and 1 are different parameters.
			if q.Provider != "p" || q.Check != "c" || string(q.Params) != `{"b":1.0,"a":[1,100.0,18446744073709551615]}` || c != test.want {
				t.Errorf("asked %+v of %+v", q, c)
			}
			if _, has := ctx.Deadline(); !has {
				t.Error("asked without a deadline")
			}
			return plugin.Result{Lane: plugin.Asserted}, nil
		}), time.Second)
		if r, err := p.Query(t.Context(), q, test.in); err != nil || r.Lane != gate.Asserted || r.Value != nil {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestPluginAnswers(t *testing.T) {
	sum := canonicalSum(t, `{"a":1}`)
	contentType, details := "application/json", parsed(t, `{"b":1}`)
	p := NewPlugin(answering(func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
		return plugin.Result{
			JSON: json.RawMessage(` {"a": 1} `), Lane: plugin.Verified, SHA256: &sum, Ref: "urn:x", ContentType: contentType,
			Anchor: &plugin.Anchor{Type: "t", Value: "v"}, Signature: &plugin.Signature{Scheme: "ed25519", KeyID: "k", Signature: []byte{1}},
			Error: &plugin.Error{Code: "c\x1b", Message: "m\n", Details: json.RawMessage(`{"b":1}`)},
		}, nil
	}), time.Second)
	got, err := p.Query(t.Context(), gate.EvidenceQuery{}, unixTime)
	hash := canonical.Digest(sum)
	want := gate.EvidenceResult{
		Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: parsed(t, `{"a":1}`)}, Lane: gate.Verified, EvidenceHash: &hash,
		EvidenceRef: &gate.EvidenceRef{URI: "urn:x"}, EvidenceAnchor: &gate.EvidenceAnchor{AnchorType: "t", AnchorValue: "v"},
		Signature: &gate.EvidenceSignature{Scheme: "ed25519", KeyID: "k", Signature: []byte{1}}, ContentType: &contentType,
		Error: &gate.EvidenceError{Code: "c ", Message: "m ", Details: &details},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(canonical.Equal)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func canonicalSum(t *testing.T, text string) [32]byte {
	t.Helper()
	hash, err := (&gate.EvidenceValue{Kind: gate.JSONValue, JSON: parsed(t, text)}).Hash()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := hex.DecodeString(hash.Value)
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(sum)
}

// What is wrong with an answer costs its condition, with words that are fit to be recorded.
func TestPluginIsNotTrusted(t *testing.T) {
	other := canonicalSum(t, "2")
	for want, answer := range map[string]answering{
		"evidence hash mismatch": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{JSON: json.RawMessage("1"), Lane: plugin.Verified, SHA256: &other}, nil
		},
		"the evidence plugin answered what is not JSON": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{JSON: json.RawMessage(`"` + "\xff" + `"`), Lane: plugin.Verified}, nil
		},
		// Twice as large in canonical form: the engine would end the call, and with it all conditions.
		"the evidence plugin answered a value of more than 1048576 bytes": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{JSON: json.RawMessage("[1e20" + strings.Repeat(",1e20", 170_000) + "]"), Lane: plugin.Verified}, nil
		},
		"the evidence plugin broke the protocol: it answered no lane": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{JSON: json.RawMessage("1")}, nil
		},
		"the tracker says  [31mno": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{}, fault.Wrap(fault.Unavailable, errors.New("/etc/secret"), "the tracker says \x1b[31mno")
		},
		"the evidence plugin failed": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{}, errors.New("/etc/secret")
		},
		strings.Repeat("x", maxPluginMessage) + "…": func(context.Context, plugin.Query, plugin.Context) (plugin.Result, error) {
			return plugin.Result{}, fault.New(fault.Internal, "%s", strings.Repeat("x", 1<<20))
		},
		"provider did not answer in time": func(ctx context.Context, _ plugin.Query, _ plugin.Context) (plugin.Result, error) {
			<-ctx.Done()
			return plugin.Result{}, fault.New(fault.Unavailable, "stopped")
		},
	} {
		timeout := time.Minute
		if strings.HasSuffix(want, "in time") {
			timeout = 20 * time.Millisecond
		}
		r, err := NewPlugin(answer, timeout).Query(t.Context(), gate.EvidenceQuery{}, unixTime)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") || r.Value != nil {
			t.Errorf("%+v, %v; want %s", r, err, want)
		}
	}
}

const goodContract = `{"name":"n","description":"d","config_schema":{},"notes":[],"checks":[{"check_id":"c","description":"d",
	"determinism":"external","params_required":false,"params_schema":{},"result_schema":{"type":"integer"},"allowed_comparators":["equals"],
	"anchor_types":[],"content_types":[],"examples":[]}]}`

func TestPluginContract(t *testing.T) {
	contract, err := PluginContract("ci", []byte(goodContract))
	if err != nil || contract.ProviderID != "ci" || contract.Transport != External || len(contract.Checks) != 1 {
		t.Fatalf("%+v, %v", contract, err)
	}
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Register("ci", NewPlugin(nil, time.Second), contract); err != nil {
		t.Error(err)
	}
	edit := func(before, after string) string { return strings.Replace(goodContract, before, after, 1) }
	for text, want := range map[string]string{
		edit(`"name"`, `"provider_id":"ci","transport":"mcp","name"`): "",
		edit(`"name"`, `"provider_id":"other","name"`):                "provider capability contract invalid: ci: provider id mismatch (expected ci, got other)",
		edit(`"name"`, `"transport":"builtin","name"`):                "provider capability contract invalid: ci: external providers must declare transport=mcp",
		edit(`"notes":[],`, ``):                                       "provider capability contract invalid: ci: ",
		edit(`["equals"]`, `[]`):                                      "provider capability contract invalid: ci: check c missing allowed_comparators",
		edit(`["equals"]`, `["not_equals","equals"]`):                 "provider capability contract invalid: ci: check c comparators not in canonical order",
		edit(`"type":"integer"`, `"type":"nothing"`):                  "schema compilation failed for ci.c: ",
		`[]`:                               "provider capability contract invalid: ci: it is not an object",
		`{`:                                "provider capability contract invalid: ci: ",
		strings.Repeat(" ", 1<<20) + "{} ": "provider capability contract invalid: ci: capability contract exceeds size limit",
	} {
		_, err := PluginContract("ci", []byte(text))
		var wrong *CapabilityError
		if want == "" && err != nil || want != "" && (!errors.As(err, &wrong) || !strings.HasPrefix(wrong.Text, want)) {
			t.Errorf("%.100s: %v, want %s", text, err, want)
		}
	}
}

// wire is a connection whose plugin answers these bytes.
type wire []byte

func (w wire) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	return proto.Unmarshal(w, reply.(proto.Message))
}

func (wire) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

// FuzzPluginResult feeds the host what a plugin might send. What it takes for evidence is within the limits, and has the
// hash that it says.
func FuzzPluginResult(f *testing.F) {
	for _, answer := range []*pb.QueryResponse{
		{},
		{Value: &pb.QueryResponse_Json{Json: []byte(`{"a":[1.0,1e2,null]}`)}, Lane: pb.EvidenceLane_EVIDENCE_LANE_VERIFIED},
		{Value: &pb.QueryResponse_Raw{Raw: []byte{0, 255}}, Lane: pb.EvidenceLane_EVIDENCE_LANE_ASSERTED, Sha256: make([]byte, 32)},
		{Error: &pb.EvidenceError{Code: "c", Message: "m", DetailsJson: []byte("{}")}, Anchor: &pb.EvidenceAnchor{Type: "t"}, Signature: &pb.EvidenceSignature{KeyId: "k"}},
	} {
		seed, err := proto.Marshal(answer)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		r, err := NewPlugin(plugin.NewClient(wire(answer)), time.Minute).Query(t.Context(), gate.EvidenceQuery{}, unixTime)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if r.Lane != gate.Verified && r.Lane != gate.Asserted || r.EvidenceHash != nil && r.Value == nil {
			t.Errorf("%+v", r)
		}
		if r.Value != nil {
			hash, err := r.Value.Hash()
			if err != nil || r.EvidenceHash != nil && *r.EvidenceHash != hash {
				t.Errorf("%+v, %v", r, err)
			}
		}
		// It can be written into a record, and read again.
		text := canonical.Append(nil, r, canonical.Declared)
		v, err := canonical.ParseRecord(text)
		var again gate.EvidenceResult
		if err == nil {
			err = canonical.Decode(v, &again)
		}
		if read := canonical.Append(nil, again, canonical.Declared); err != nil || !bytes.Equal(text, read) {
			t.Errorf("%s is read as %s, %v", text, read, err)
		}
	})
}
