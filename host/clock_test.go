package host_test

import (
	"net/http/httptest"
	"testing"
	"time"
)

// TestMaxClockSkew starts a run in the past on a host whose configuration does not take that.
func TestMaxClockSkew(t *testing.T) {
	h := openAccess(t, t.TempDir(), `
trust { max_clock_skew = "5m" }
namespace {
  allow_default   = true
  default_tenants = [1]
}`, nil)
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	f := &fixture{t: t, URL: server.URL}
	f.must("scenario_define", twoStages("s", "1"), nil)
	start := func(id string, at int64) reply {
		return f.call("scenario_start", object{"scenario_id": "s", "started_at": object{"kind": "unix_millis", "value": at}, "issue_entry_packets": false, "run_config": object{
			"tenant_id": 1, "namespace_id": 1, "run_id": id, "scenario_id": "s", "dispatch_targets": []any{}, "policy_tags": []any{},
		}})
	}
	if r := start("now", time.Now().UnixMilli()); r.Error != nil {
		t.Errorf("now: %+v", r.Error)
	}
	if r := start("then", 1); r.Status != 400 || r.Error == nil || r.Error.Message != "started_at is more than 5m0s from the host's clock: send the time of now" {
		t.Errorf("then: %d %+v", r.Status, r.Error)
	}
}
