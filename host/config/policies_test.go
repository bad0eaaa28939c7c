package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPolicies loads the blocks of audit, dispatch and development; rules keep their order, also those with one effect.
func TestPolicies(t *testing.T) {
	got, err := Load("testdata/policies/full.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Audit{Path: "testdata/policies/audit.jsonl", PrecheckPayloads: true}, got.Audit); diff != "" {
		t.Error(diff)
	}
	want := &Dispatch{Default: "deny", Rules: []*DispatchRule{
		{Effect: "deny", RequireLabels: []string{"secret"}},
		{Effect: "error", Message: "boom", SchemaIDs: []string{"err"}},
		{Effect: "deny", Targets: []*DispatchTarget{{Kind: "agent"}, {Kind: "agent", ID: "a"}, {Kind: "external", System: "jira"}}},
	}}
	if diff := cmp.Diff(want, got.Dispatch); diff != "" {
		t.Error(diff)
	}
	end, err := got.Development.End()
	if err != nil || !end.Equal(time.Date(2026, 12, 30, 23, 0, 0, 0, time.UTC)) || !got.Development.AcceptAsserted {
		t.Errorf("development: %+v until %v, %v", got.Development, end, err)
	}
}

// TestDevelopmentStaysLocal: whoever can connect to a host that accepts what callers assert can open gates.
func TestDevelopmentStaysLocal(t *testing.T) {
	for listen, local := range map[string]bool{
		"127.0.0.1:0": true, "localhost:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, ":80": false, "example.com:80": false,
	} {
		c := Default()
		c.Server.HTTP.Listen = listen
		c.Development = &Development{AcceptAsserted: true}
		if err := c.Validate(); strings.Contains(err.Error(), "Development beyond loopback refused") == local {
			t.Errorf("%s: %v", listen, err)
		}
		c.Development.AcceptAsserted = false
		if err := c.Validate(); strings.Contains(err.Error(), "Development beyond loopback refused") {
			t.Errorf("%s, accepting nothing: %v", listen, err)
		}
	}
}
