package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// secret is in the cause of every failure below, and must be in no answer.
const secret = "postgres://user:hunter2@/srv/data"

// TestErrors is the table of failures and what a client is told: code, kind, HTTP status, whether to try again, message.
func TestErrors(t *testing.T) {
	decodeError := func() error {
		v, _ := canonical.Parse([]byte(`{}`))
		return canonical.Decode(v, &gate.RunConfig{})
	}
	hidden := errors.New(secret)
	type row struct {
		err    error
		code   Code
		kind   string
		status int
		retry  bool
		text   string
	}
	rows := []row{
		{registry.ErrNoScenario, NotFound, "not_found", 200, false, "scenario not defined"},
		{registry.ErrNoSchema, NotFound, "not_found", 200, false, "schema not found"},
		{registry.ErrScenarioExists, Conflict, "conflict", 200, false, "scenario already defined"},
		{registry.ErrSchemaExists, Conflict, "conflict", 200, false, "schema already registered"},
		{registry.ErrRegistryFull, Conflict, "conflict", 200, false, "schema registry max entries exceeded"},
		{runpack.ErrSpecHash, RunpackFailed, "runpack", 200, false, "hashing error: run state spec hash mismatch"},
		{&runpack.ArtifactError{Message: "unable to write artifact", Cause: hidden}, RunpackFailed, "runpack", 200, false, "artifact error: unable to write artifact"},
		{&runpack.ManifestError{Cause: hidden}, RunpackFailed, "runpack", 200, false, "invalid manifest"},
		{&runpack.ManifestError{Cause: decodeError()}, RunpackFailed, "runpack", 200, false, "invalid manifest"},
		{&runpack.TooLargeError{Path: "artifacts/x", Actual: 2, Max: 1}, RunpackFailed, "runpack", 200, false, "artifact too large: artifacts/x (2 > 1)"},
		{&evidence.CapabilityError{Code: evidence.ProviderMissing, Text: "provider not registered: p"}, InvalidParams, "invalid_params", 400, false, "provider_missing: provider not registered: p"},
		{gate.Refuse(gate.SubmissionConflict, "s"), Conflict, "conflict", 200, false, "submission_id conflict: s"},
		{refuse(Unauthorized, "unauthorized"), Unauthorized, "unauthorized", 403, false, "unauthorized"},
		{context.Canceled, Internal, "internal", 200, true, "the call was cancelled"},
		{context.DeadlineExceeded, Internal, "internal", 200, true, "a backend did not answer in time; try again"},
		{hidden, Internal, "internal", 200, false, "internal error"},
		{fault.New("INVENTED", "%s", secret), Internal, "internal", 200, false, "internal error"},
		// A record that cannot be decoded is the store's fault, also when the decoder's error is its cause.
		{fault.Wrap(fault.Corrupt, decodeError(), "%s", secret), Internal, "internal", 200, false, "stored data is damaged; the operator's log says which"},
		{decodeError(), Internal, "internal", 200, false, "internal error"},
	}
	for reason, text := range map[gate.Reason]string{
		gate.InvalidSpec: "invalid scenario spec: x", gate.ScenarioMismatch: "scenario mismatch for run: x", gate.NamespaceMismatch: "namespace mismatch for run: x",
		gate.RunExists: "run already exists: x", gate.RunNotFound: "run not found: x", gate.RunNotActive: "run is not active: x", gate.UnknownStage: "unknown stage identifier: x",
		gate.Unresolved: "gate resolution failed: x", gate.TimeKindMismatch: "trigger time kind mismatch: x", gate.TimeoutCalculation: "timeout calculation error: x",
		gate.PolicyFailed: "policy decision error: x", gate.DispatchFailed: "dispatch error: x", gate.ProvidersMissing: "provider validation failed: x",
	} {
		rows = append(rows, row{gate.Refuse(reason, "x"), ControlPlane, "control_plane", 200, false, text})
	}
	rows = append(rows,
		row{gate.Refuse(gate.EvidenceTooLarge, 2, 1), ControlPlane, "control_plane", 200, false, "evidence payload exceeds size limit (2 > 1)"},
		row{gate.Refuse(gate.PayloadTooLarge, 2, 1), ControlPlane, "control_plane", 200, false, "payload exceeds size limit (2 > 1)"},
		row{gate.Refuse(gate.PolicyDenied), ControlPlane, "control_plane", 200, false, "policy denied disclosure"},
	)
	for reason, want := range map[fault.Reason]row{
		fault.Invalid:       {code: Internal, kind: "internal", status: 200, text: "a backend refused the request"},
		fault.NotFound:      {code: NotFound, kind: "not_found", status: 200, text: "not found in the backend"},
		fault.TooLarge:      {code: TooLarge, kind: "request_too_large", status: 413, text: "the record is larger than the backend takes"},
		fault.Denied:        {code: Internal, kind: "internal", status: 200, text: "a backend refuses to work for this host; the operator's log says why"},
		fault.Unavailable:   {code: Internal, kind: "internal", status: 200, retry: true, text: "a backend is not available; try again"},
		fault.Deadline:      {code: Internal, kind: "internal", status: 200, retry: true, text: "a backend did not answer in time; try again"},
		fault.Corrupt:       {code: Internal, kind: "internal", status: 200, text: "stored data is damaged; the operator's log says which"},
		fault.Locked:        {code: RunpackFailed, kind: "runpack", status: 200, text: "the bundle is locked"},
		fault.Unimplemented: {code: Internal, kind: "internal", status: 200, text: "a backend lacks the capability"},
		fault.Full:          {code: Internal, kind: "internal", status: 200, retry: true, text: "a backend is out of space; try again later"},
		fault.Internal:      {code: Internal, kind: "internal", status: 200, text: "internal error"},
	} {
		want.err = fault.Wrap(reason, hidden, "the plugin says %s", secret)
		rows = append(rows, want)
	}
	id := canonical.NewUint(7)
	for _, row := range rows {
		for _, err := range []error{row.err, fmt.Errorf("%s: %w", secret, row.err)} {
			body, status := appendError(nil, &id, asError(err))
			a := decodeAnswer(t, body)
			e := a.Error
			if e.Code != int(row.code) || e.Data.Kind != row.kind || status != row.status || e.Data.Retryable != row.retry || e.Message != row.text || *e.Data.RequestID != "7" {
				t.Errorf("%v: %d %s", err, status, body)
			}
			if strings.Contains(string(body), "hunter2") || strings.Contains(string(body), "srv") {
				t.Errorf("%v: the answer tells a secret: %s", err, body)
			}
		}
	}
}

// TestCodesAreListed has each code answer with its HTTP status, by which clients tell errors apart (mcp contract §2.6).
func TestCodesAreListed(t *testing.T) {
	for code, want := range map[Code]int{
		InvalidRequest: 400, MethodNotFound: 400, InvalidParams: 400, Unauthorized: 403, NotFound: 200, Conflict: 200, ControlPlane: 200, RunpackFailed: 200,
		Internal: 200, TooLarge: 413, Overloaded: 503, InvalidCorrelationID: 400,
	} {
		if got := codes[code]; got.status != want || got.retryable != (code == Overloaded) || got.kind == "" {
			t.Errorf("%d: %+v, want status %d", code, got, want)
		}
	}
}

// TestBackendWords has the store fail in words of its own during real calls: the client reads none of them, the log does.
func TestBackendWords(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	r.store.Around(func(context.Context, faultystore.Call, func()) error { return fault.New(fault.Denied, "%s", secret) })
	for tool, arguments := range map[string]string{
		"scenario_define":  `{"spec":` + specText("other", "1") + `}`,
		"scenario_next":    nextText("s", "r", "t", ""),
		"scenario_status":  `{"scenario_id":"s","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"requested_at":{"kind":"logical","value":1}}}`,
		"scenarios_list":   `{"tenant_id":1,"namespace_id":1}`,
		"schemas_list":     `{"tenant_id":1,"namespace_id":1}`,
		"schemas_get":      `{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"1"}`,
		"schemas_register": `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"1","schema":{},"created_at":{"kind":"logical","value":1}}}`,
		"runpack_export":   `{"scenario_id":"s","tenant_id":1,"namespace_id":1,"run_id":"r","generated_at":{"kind":"logical","value":1},"include_verification":false}`,
	} {
		a := r.serve(t.Context(), r.local(), []byte(callText(tool, arguments)))
		if strings.Contains(string(a.body), "hunter2") || !strings.Contains(string(a.body), `"a backend refuses to work for this host; the operator's log says why"`) || a.status != http.StatusOK {
			t.Errorf("%s: %d %s", tool, a.status, a.body)
		}
	}
	if !strings.Contains(r.log.String(), "hunter2") {
		t.Error("the operator's log does not say what the backend said")
	}
}

// TestLogLevels has the operator see what only they can mend, and not what clients do wrong.
func TestLogLevels(t *testing.T) {
	for want, errs := range map[slog.Level][]error{
		slog.LevelDebug: {registry.ErrNoScenario, gate.Refuse(gate.RunNotFound, "r"), refuse(Unauthorized, "unauthorized"), context.Canceled, fault.Wrap(fault.Unavailable, context.Canceled, "left")},
		slog.LevelWarn:  {&runpack.ArtifactError{Message: "unable to write artifact", Cause: errors.New("disk full")}, fault.New(fault.TooLarge, "step")},
		slog.LevelError: {fault.New(fault.Corrupt, "chain"), fault.New(fault.Unavailable, "away"), errors.New("other"), refuse(Internal, "internal error")},
	} {
		for _, err := range errs {
			if got := logLevel(asError(err)); got != want {
				t.Errorf("%v: %v, want %v", err, got, want)
			}
		}
	}
	if got := logLevel(nil); got != slog.LevelDebug {
		t.Errorf("success: %v", got)
	}
}

// TestPanicsAreContained has a layer below panic, in each transport: the call fails, and the next one is answered.
func TestPanicsAreContained(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	r.store.Around(func(context.Context, faultystore.Call, func()) error { panic(secret) })
	body := callText("scenario_next", nextText("s", "r", "t", ""))
	check := func(transport, answer string) {
		t.Helper()
		if a := decodeAnswer(t, []byte(answer)); a.Error == nil || a.Error.Code != int(Internal) || a.Error.Message != "internal error" || string(a.ID) != "7" {
			t.Errorf("%s: %s", transport, answer)
		}
	}
	_, text := r.http(post(body))
	check("http", text)
	answers, err := r.frames(frameOf(body) + frameOf(listTools))
	if err != nil || len(answers) != 2 {
		t.Fatalf("stdio: %q, %v", answers, err)
	}
	check("stdio", answers[0])
	if r.slots.taken() != 0 {
		t.Errorf("%d slots are taken", r.slots.taken())
	}
	r.store.Around(nil)
	r.must("scenario_next", nextText("s", "r", "t", ""))
	// Also outside of a tool.
	r.tools["scenario_next"] = nil
	check("dispatch", string(r.serve(t.Context(), r.local(), []byte(body)).body))
}

// TestLongTextsAreCut names a stage with a name of nearly a body: neither the client nor the log is told all of it.
func TestLongTextsAreCut(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	r.must("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"1","schema":{"type":"boolean"},"created_at":{"kind":"logical","value":1}}}`)
	before := len(r.log.String())
	a := r.call("precheck", `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"a","version":"1"},"payload":true,"stage_id":"`+strings.Repeat("é", testMaxBody/4)+`"}`)
	if a.Error == nil || !strings.HasPrefix(a.Error.Message, "unknown stage identifier: éé") || !strings.HasSuffix(a.Error.Message, "é…") || len(a.Error.Message) > maxMessage+len("…") {
		t.Errorf("%.200v", a.Error)
	}
	if logged := len(r.log.String()) - before; logged > maxMessage+1<<10 {
		t.Errorf("%d bytes are logged", logged)
	}
}
