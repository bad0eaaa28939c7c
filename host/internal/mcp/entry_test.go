package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/authority"
)

// answering is an Authority that answers what a test says, and keeps what it was asked.
type answering struct {
	err   error
	asked []string
}

func (a *answering) Ensure(_ context.Context, namespace uint64, requestID string) error {
	a.asked = append(a.asked, fmt.Sprint(namespace, " ", requestID))
	return a.err
}

// TestAuthorityAnswers: clients are told that they may not, and the log why, where it is the authority's fault. What comes after
// the namespace in the order of the checks is then not done.
func TestAuthorityAnswers(t *testing.T) {
	for _, test := range []struct {
		err     error
		code    Code
		message string
		logged  bool
	}{
		{authority.ErrNotFound, Unauthorized, "unauthorized", false},
		{authority.ErrDenied, Unauthorized, "unauthorized", false},
		{fmt.Errorf("%w: it is at 10.0.0.1", authority.ErrUnavailable), Unauthorized, "unauthorized", true},
		{errors.New("something else"), Unauthorized, "unauthorized", true},
		{authority.ErrToken, InvalidParams, "invalid auth token", true},
		{authority.ErrRequestID, InvalidParams, "invalid request id", true},
	} {
		lines := &safeLog{}
		asked := &answering{err: test.err}
		r := newRig(t, func(c *Config) { c.Authority, c.Audit = asked, audit.New(lines) })
		r.refused(test.code, test.message, "scenario_start", startText)
		if len(asked.asked) != 1 || !strings.HasPrefix(asked.asked[0], "1 dg-") {
			t.Errorf("%v: asked %q", test.err, asked.asked)
		}
		if logged := strings.Contains(r.log.String(), "level=WARN"); logged != test.logged || logged && !strings.Contains(r.log.String(), test.err.Error()) {
			t.Errorf("%v: the log is %s", test.err, r.log)
		}
		if got := lines.String(); !strings.Contains(got, `"metric":"tool_calls"`) || strings.Contains(got, `"metric":"runs_started"`) {
			t.Errorf("%v: recorded is %s", test.err, got)
		}
	}
}

// TestAuthorityIsAskedLast: what the host's own rules refuse is no question for the authority, nor is a tool that works in no
// namespace.
func TestAuthorityIsAskedLast(t *testing.T) {
	asked := &answering{}
	r := newRig(t, func(c *Config) { c.Authority = asked })
	r.refused(Unauthorized, "unauthorized", "scenario_start", strings.Replace(startText, `"tenant_id":1`, `"tenant_id":2`, 1))
	r.must("providers_list", `{}`)
	if len(asked.asked) != 0 {
		t.Errorf("asked %q", asked.asked)
	}
	r.must("scenario_define", `{"spec":`+specText("s", "1")+`}`)
	if len(asked.asked) != 1 {
		t.Errorf("asked %q", asked.asked)
	}
}
