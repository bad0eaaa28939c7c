package catalog

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

func evidencePlugin(name string, settings map[string]any) *config.Plugin {
	if settings == nil {
		settings = map[string]any{}
	}
	settings["who"] = name
	p := testPlugin("evidence", settings, "evidence")
	p.Name = name
	return p
}

// query asks a provider, in a time that a test has.
func query(t *testing.T, p evidence.Provider, check string, within time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r, err := p.Query(ctx, evidence.Query{Check: check}, evidence.Context{})
	return string(r.JSON), err
}

func answers(t *testing.T, p evidence.Provider) bool {
	t.Helper()
	_, err := query(t, p, "who", 5*time.Second)
	return err == nil
}

func TestEvidence(t *testing.T) {
	c, _ := open(t, evidencePlugin("one", nil), storePlugin("store", nil), evidencePlugin("two", nil))
	list := c.Evidence()
	if len(list) != 2 || list[0].Name != "one" || list[1].Name != "two" || !strings.Contains(string(list[0].Contract), `"crash"`) {
		t.Fatalf("%+v", list)
	}
	for _, e := range list {
		if got, err := query(t, e.Provider, "who", 5*time.Second); err != nil || got != `"`+e.Name+`"` {
			t.Errorf("%s answered %s, %v", e.Name, got, err)
		}
	}
	if got := c.Degraded(); got != nil || !c.Ready() {
		t.Errorf("degraded: %q", got)
	}
	// What a plugin says of its backend is an answer: asking again until the deadline would hold up a gate.
	if _, err := query(t, list[0].Provider, "busy", time.Minute); !fault.Is(err, fault.Unavailable) || err.Error() != "the tracker is down" {
		t.Errorf("%v", err)
	}
	if _, err := query(t, list[0].Provider, "hang", 50*time.Millisecond); !fault.Is(err, fault.Deadline) {
		t.Errorf("%v", err)
	}
}

// TestEvidenceCrashes kills one provider by a question: that question fails, the other provider does not notice, and the
// first is back soon.
func TestEvidenceCrashes(t *testing.T) {
	c, _ := open(t, evidencePlugin("one", nil), evidencePlugin("two", nil))
	list := c.Evidence()
	for range 2 {
		if _, err := query(t, list[0].Provider, "crash", 5*time.Second); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v", err)
		}
		if !answers(t, list[1].Provider) {
			t.Error("another provider does not answer")
		}
		eventually(t, "the provider answers again", func() bool { return answers(t, list[0].Provider) })
	}
	if status := c.Status(); status[0].Restarts != 2 || status[1].Restarts != 0 {
		t.Errorf("a question that crashes the plugin was asked again: %+v", status)
	}
}

// A provider that is not ready, or dies too often, does not make the host unready: other scenarios do not need it.
func TestEvidenceDegraded(t *testing.T) {
	unready := filepath.Join(t.TempDir(), "unready")
	c, _ := open(t, evidencePlugin("one", map[string]any{"unready": unready}), storePlugin("store", nil))
	if err := os.WriteFile(unready, []byte("the tracker is down"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is degraded", func() bool { return slices.Equal(c.Degraded(), []string{"evidence/one"}) })
	if !c.Ready() || !strings.Contains(c.Status()[0].Reason, "the tracker is down") {
		t.Errorf("%+v", c.Status())
	}
	if err := os.Remove(unready); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready again", func() bool { return c.Degraded() == nil })
	eventually(t, "its restarts are spent", func() bool {
		_, _ = query(t, c.Evidence()[0].Provider, "crash", 5*time.Second)
		return strings.Contains(c.Status()[0].Reason, "restarted too often")
	})
	if _, err := query(t, c.Evidence()[0].Provider, "who", time.Minute); err != nil && !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if !c.Ready() {
		t.Errorf("%+v", c.Status())
	}
}

// Scenarios were checked against the first contract: a process with another must not answer them.
func TestEvidenceContractChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contract.json")
	write := func(checks string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(`{"name":"n","description":"d","notes":[],"config_schema":{},"checks":[`+checks+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"check_id":"who"},{"check_id":"crash"}`)
	c, log := open(t, evidencePlugin("one", map[string]any{"contract": path}))
	p := c.Evidence()[0].Provider
	crash := func() { _, _ = query(t, p, "crash", 5*time.Second) }
	write(`  {"check_id": "who"}, {"check_id": "crash"}`)
	crash()
	eventually(t, "the same contract in another form is taken", func() bool { return answers(t, p) })
	write(`{"check_id":"who"},{"check_id":"crash"},{"check_id":"more"}`)
	crash()
	eventually(t, "another contract is refused", func() bool { return strings.Contains(log.String(), "its contract is another one") })
	if _, err := query(t, p, "who", 200*time.Millisecond); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	write(`{"check_id":"who"},{"check_id":"crash"}`)
	eventually(t, "the first contract is taken again", func() bool { return answers(t, p) })
}

func TestEvidenceWithoutContract(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contract.json")
	if err := os.WriteFile(path, []byte(`{"name":"n"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), options(&testLog{}, evidencePlugin("one", map[string]any{"contract": path})))
	if err == nil {
		_ = c.Close(t.Context())
		t.Fatal("opened")
	}
	wantContains(t, err.Error(), `plugin "evidence/one"`, "does not say what it can be asked", "lacks a member")
}
