package host

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestDevelopmentEnds moves the clock past the end: the next call is decided as on any host, and the log says so once.
func TestDevelopmentEnds(t *testing.T) {
	c := config.Default()
	c.Development = &config.Development{AcceptAsserted: true, Until: "2026-12-31T00:00:00Z"}
	end := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	now := end.Add(-time.Nanosecond)
	var log bytes.Buffer
	settings := currentSettings(c, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)))
	if lane := settings().MinLane; lane != gate.Asserted || log.Len() > 0 {
		t.Errorf("before its end: %s, log %q", lane, &log)
	}
	for _, after := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
		now = end.Add(after)
		if lane := settings().MinLane; lane != gate.Verified {
			t.Errorf("%s after its end: %s", after, lane)
		}
	}
	if n := strings.Count(log.String(), "the development mode has ended"); n != 1 {
		t.Errorf("the log says %d times that it has ended: %s", n, &log)
	}
}

// TestDevelopmentLanes: providers that are exempt keep the lane that they had, others take asserted evidence.
func TestDevelopmentLanes(t *testing.T) {
	for _, test := range []struct {
		name, trust, own string
		exempt           []string
		on               bool
		lane             gate.TrustLane
		provider         gate.TrustLane // of env
	}{
		{"off", "verified", "", nil, false, gate.Verified, ""},
		{"on", "verified", "", nil, true, gate.Asserted, ""},
		{"exempt", "verified", "", []string{"env"}, true, gate.Asserted, gate.Verified},
		{"exempt where asserted evidence is taken anyway", "asserted", "", []string{"env"}, true, gate.Asserted, gate.Asserted},
		{"a provider's own rule stays", "verified", "verified", nil, true, gate.Asserted, gate.Verified},
		{"and is not loosened by being exempt", "asserted", "verified", []string{"env"}, true, gate.Asserted, gate.Verified},
		{"another is exempt", "verified", "", []string{"time"}, true, gate.Asserted, ""},
	} {
		c := config.Default()
		c.Trust.MinLane = test.trust
		c.Evidence.Env = &config.EnvEvidence{EvidencePolicy: config.EvidencePolicy{MinLane: test.own}}
		c.Development = &config.Development{AcceptAsserted: test.on, ExemptProviders: test.exempt}
		got := currentSettings(c, time.Now, slog.Default())()
		if got.MinLane != test.lane || got.ProviderLanes["env"] != test.provider {
			t.Errorf("%s: %s, %v", test.name, got.MinLane, maps.Clone(got.ProviderLanes))
		}
	}
}

// TestDevelopmentIsLocal: an embedder's names lead other machines to the host.
func TestDevelopmentIsLocal(t *testing.T) {
	c := config.Default()
	c.Development = &config.Development{AcceptAsserted: true}
	if err := Check(Config{Settings: c, Hosts: []string{"gate.example.com"}}); err == nil || !strings.Contains(err.Error(), "development.accept_asserted is refused") {
		t.Errorf("got %v", err)
	}
	if err := checkDevelopment(Config{Settings: c}); err != nil {
		t.Error(err)
	}
}

// TestDevelopmentIsTold has the log warn at the start, and runpacks say how the host is run, also after the end.
func TestDevelopmentIsTold(t *testing.T) {
	for _, test := range []struct {
		development *config.Development
		warning     string
	}{
		{nil, ""},
		{&config.Development{}, ""},
		{&config.Development{AcceptAsserted: true}, `until="not set: it never ends"`},
		{&config.Development{AcceptAsserted: true, Until: "2000-01-01T00:00:00Z"}, "until=2000-01-01T00:00:00Z"},
	} {
		c := config.Default()
		c.Development = test.development
		var log bytes.Buffer
		warnDevelopment(c, slog.New(slog.NewTextHandler(&log, nil)))
		if warned := strings.Contains(log.String(), "level=WARN"); warned != (test.warning != "") || !strings.Contains(log.String(), test.warning) {
			t.Errorf("%+v: %q", test.development, &log)
		}
		if told := security(c).Development; told != (test.warning != "") {
			t.Errorf("%+v: runpacks say %t", test.development, told)
		}
	}
}
