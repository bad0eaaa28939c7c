package evidence_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of the tests are wanted
	goleak.VerifyTestMain(m)
}

func dial(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

const contract = `{"name":"n","description":"d","config_schema":{},"notes":[],"checks":[{"check_id":"c","params_required":true},{"check_id":"free"}]}`

// fake is a provider whose answers are given.
type fake struct {
	contract string
	query    func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error)
}

func (f fake) Contract(context.Context) (json.RawMessage, error) {
	return json.RawMessage(f.contract), nil
}

func (f fake) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	return f.query(ctx, q, c)
}

func (fake) Close() error { return nil }

func serve(t *testing.T, query func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error)) evidence.Provider {
	return evidence.NewClient(dial(t, func(s *grpc.Server) { evidence.RegisterServer(s, fake{contract, query}) }))
}

// hostile is a plugin that answers what it likes.
type hostile struct {
	pb.UnimplementedEvidenceServer
	contract string
	answer   *pb.QueryResponse
	err      error
}

func (h hostile) Contract(context.Context, *pb.ContractRequest) (*pb.ContractResponse, error) {
	return &pb.ContractResponse{ContractJson: []byte(h.contract)}, h.err
}

func (h hostile) Query(context.Context, *pb.QueryRequest) (*pb.QueryResponse, error) {
	return h.answer, h.err
}

func attack(t *testing.T, h hostile) evidence.Provider {
	return evidence.NewClient(dial(t, func(s *grpc.Server) { pb.RegisterEvidenceServer(s, h) }))
}

func TestRoundTrip(t *testing.T) {
	sum := [32]byte{1, 2, 3}
	queries := []evidence.Query{
		{Provider: "p", Check: "c", Params: json.RawMessage(`{"a":1.0}`)},
		{Provider: "p", Check: "free"},
		{Provider: "日本\x00", Check: "free", Params: json.RawMessage(` {} `)},
	}
	contexts := []evidence.Context{
		{},
		{Tenant: 1<<64 - 1, Namespace: 2, Run: "r", Scenario: "s", Stage: "st", Trigger: "t", Time: evidence.Time{UnixMillis: -5}, Correlation: "id"},
		{Time: evidence.Time{Logical: true, Tick: 1<<64 - 1}, Run: "\x00"},
		{Time: evidence.Time{Logical: true}},
	}
	results := []evidence.Result{
		{Lane: evidence.Verified},
		{Lane: evidence.Asserted, JSON: json.RawMessage("null")},
		{Lane: evidence.Verified, JSON: json.RawMessage("1.0"), SHA256: &sum, Ref: "urn:x", ContentType: "application/json"},
		{Lane: evidence.Verified, Bytes: []byte{}},
		{Lane: evidence.Verified, Bytes: []byte{0, 255}, SHA256: &sum, Anchor: &evidence.Anchor{Type: "t", Value: "v"}},
		{Error: &evidence.Error{Code: "x", Message: "m"}},
		{Lane: evidence.Asserted, JSON: json.RawMessage("1"), Error: &evidence.Error{Code: "x", Details: json.RawMessage("{}")}},
		{Lane: evidence.Verified, Signature: &evidence.Signature{Scheme: "ed25519", KeyID: "a.pub", Signature: []byte{9}}},
	}
	for _, q := range queries {
		for _, c := range contexts {
			for _, want := range results {
				p := serve(t, func(_ context.Context, gotQ evidence.Query, gotC evidence.Context) (evidence.Result, error) {
					if !reflect.DeepEqual(gotQ, q) || gotC != c {
						t.Errorf("asked %+v of %+v, want %+v of %+v", gotQ, gotC, q, c)
					}
					return want, nil
				})
				if got, err := p.Query(t.Context(), q, c); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, %v; want %+v", got, err, want)
				}
			}
		}
	}
	p := serve(t, nil)
	if got, err := p.Contract(t.Context()); err != nil || string(got) != contract {
		t.Errorf("contract %s, %v", got, err)
	}
}

// A provider behind RegisterServer is asked nothing that its contract does not have.
func TestServerRefuses(t *testing.T) {
	asked := false
	p := serve(t, func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error) {
		asked = true
		return evidence.Result{Lane: evidence.Verified}, nil
	})
	for want, q := range map[string]evidence.Query{
		"check not supported: p.other":    {Check: "other"},
		"check not supported: p.":         {},
		"check params required for p.c":   {Check: "c"},
		"check params required for p.c\t": {Check: "c", Params: json.RawMessage("null")},
		"the params of p.c are not JSON":  {Check: "c", Params: json.RawMessage("{")},
		"the params of p.free are not JS": {Check: "free", Params: json.RawMessage{}},
	} {
		q.Provider = "p"
		_, err := p.Query(t.Context(), q, evidence.Context{})
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), strings.TrimSpace(want)) || asked {
			t.Errorf("%+v: %v, want %s", q, err, want)
		}
	}
}

// What its author got wrong is an error where he sees it.
func TestServerChecksAnswers(t *testing.T) {
	for want, provider := range map[string]fake{
		"no lane": {contract, func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error) {
			return evidence.Result{}, nil
		}},
		"internal error":   {contract, func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error) { panic("secret") }},
		"lacks a member":   {`{"name":"n"}`, nil},
		"not of its form":  {`[]`, nil},
		"of 1048577 bytes": {strings.Repeat(" ", evidence.MaxContract+1), nil},
	} {
		p := evidence.NewClient(dial(t, func(s *grpc.Server) { evidence.RegisterServer(s, provider) }))
		_, err := p.Query(t.Context(), evidence.Query{Check: "free"}, evidence.Context{})
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestClientDoesNotTrustAnswers(t *testing.T) {
	verified := pb.EvidenceLane_EVIDENCE_LANE_VERIFIED
	long := strings.Repeat("x", 1<<17)
	value := func(text string) *pb.QueryResponse_Json { return &pb.QueryResponse_Json{Json: []byte(text)} }
	for want, answer := range map[string]*pb.QueryResponse{
		"no lane":                  {Value: value("1")},
		"lane 7":                   {Value: value("1"), Lane: 7},
		"what is not JSON":         {Value: value("{"), Lane: verified},
		"what is not JSON ":        {Value: value(""), Lane: verified},
		"what is not JSON  ":       {Error: &pb.EvidenceError{Code: "x", DetailsJson: []byte("nul")}},
		"a value of 1048577 bytes": {Value: &pb.QueryResponse_Raw{Raw: make([]byte, evidence.MaxValue+1)}, Lane: verified},
		"a SHA-256 of 31 bytes":    {Value: value("1"), Lane: verified, Sha256: make([]byte, 31)},
		"a SHA-256 of 0 bytes":     {Value: value("1"), Lane: verified, Sha256: []byte{}},
		"the hash of a value that": {Lane: verified, Sha256: make([]byte, 32)},
		"an error without a code":  {Error: &pb.EvidenceError{Message: "x"}},
		"an error message of":      {Error: &pb.EvidenceError{Code: "x", Message: long}},
		"an error code of":         {Error: &pb.EvidenceError{Code: long}},
		"error details of":         {Error: &pb.EvidenceError{Code: "x", DetailsJson: []byte(`"` + long + `"`)}},
		"an anchor type of":        {Lane: verified, Anchor: &pb.EvidenceAnchor{Type: long}},
		"an anchor value of":       {Lane: verified, Anchor: &pb.EvidenceAnchor{Value: long}},
		"a reference of":           {Lane: verified, RefUri: &long},
		"a content type of":        {Lane: verified, ContentType: &long},
		"a signature of":           {Lane: verified, Signature: &pb.EvidenceSignature{Signature: []byte(long)}},
		"a key id of":              {Lane: verified, Signature: &pb.EvidenceSignature{KeyId: long}},
		"a signature scheme of":    {Lane: verified, Signature: &pb.EvidenceSignature{Scheme: long}},
	} {
		r, err := attack(t, hostile{answer: answer}).Query(t.Context(), evidence.Query{}, evidence.Context{})
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%.100v: answered %.100v, %v; want %s", answer, r, err, want)
		}
	}
}

// A message that is too large is refused by its length.
func TestClientBoundsMessages(t *testing.T) {
	h := hostile{answer: &pb.QueryResponse{Value: &pb.QueryResponse_Raw{Raw: make([]byte, 8<<20)}}, contract: strings.Repeat(" ", 8<<20)}
	_, err := attack(t, h).Query(t.Context(), evidence.Query{}, evidence.Context{})
	_, errContract := attack(t, h).Contract(t.Context())
	for _, err := range []error{err, errContract} {
		var told *fault.Error
		if !errors.As(err, &told) || told.Reason != fault.TooLarge || told.Message != "the evidence plugin answered too much" {
			t.Errorf("%+v", err)
		}
	}
}

// What gRPC says of sockets is not what gets recorded with a run.
func TestMessagesOfErrors(t *testing.T) {
	gone, err := grpc.NewClient("unix:/no/such/secret.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-late.Done()
	for _, test := range []struct {
		provider evidence.Provider
		ctx      context.Context
		reason   fault.Reason
		message  string
	}{
		{evidence.NewClient(gone), t.Context(), fault.Unavailable, "the connection to the evidence plugin failed"},
		{attack(t, hostile{err: status.Error(codes.Internal, "/etc/secret")}), t.Context(), fault.Internal, "the call of the evidence plugin failed"},
		{attack(t, hostile{err: fault.ToStatus(fault.New(fault.Unavailable, "the tracker is down"))}), t.Context(), fault.Unavailable, "the tracker is down"},
		{attack(t, hostile{}), late, fault.Deadline, "the evidence plugin did not answer in time"},
	} {
		_, err := test.provider.Query(test.ctx, evidence.Query{}, evidence.Context{})
		var told *fault.Error
		if !errors.As(err, &told) || told.Reason != test.reason || told.Message != test.message {
			t.Errorf("%#v, want %s: %s", told, test.reason, test.message)
		}
	}
}
