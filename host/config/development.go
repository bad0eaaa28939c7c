package config

import (
	"slices"
	"strings"
	"time"
)

// Development is what a host for trying things out accepts (mcp contract §9.4). It is refused where other machines can
// connect: with it, whoever calls can open gates with what they say themselves.
type Development struct {
	AcceptAsserted  bool     `hcl:"accept_asserted" default:"false" help:"Accept evidence that nobody has verified, as trust.min_lane = \"asserted\" does. Runpacks say so."`
	Until           string   `hcl:"until" max:"64" help:"When this ends, also while the host runs: a time with its zone, as in RFC 3339, such as \"2026-12-31T00:00:00Z\". Never when absent."`
	ExemptProviders []string `hcl:"exempt_providers" max:"1024" help:"Providers whose evidence must keep trust.min_lane."`
}

// End is when it ends; the zero time is never.
func (d *Development) End() (time.Time, error) {
	if d.Until == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, d.Until)
}

func (c *checker) development(cfg *Config) {
	d := cfg.Development
	if d == nil {
		return
	}
	if _, err := d.End(); err != nil || d.Until == "" && c.places[&d.Until] != (place{}) {
		c.problem(&d.Until, "Wrong time", `development.until is a time with its zone, such as "2026-12-31T00:00:00Z"; this is %s.`, c.quote(&d.Until))
	}
	if slices.ContainsFunc(d.ExemptProviders, func(id string) bool { return strings.TrimSpace(id) == "" }) {
		c.problem(&d.ExemptProviders, "Wrong provider", "development.exempt_providers holds an empty provider id.")
	}
	if !d.AcceptAsserted {
		return
	}
	if http := cfg.Server.HTTP; http != nil && !http.Loopback() {
		c.problem(&d.AcceptAsserted, "Development beyond loopback refused",
			"With development.accept_asserted, whoever can connect can open gates. Listen on 127.0.0.1 or [::1], or remove it.")
	}
	if cfg.Namespace.Authority != nil {
		c.problem(&d.AcceptAsserted, "Development with an authority refused",
			"development.accept_asserted is not allowed with namespace.authority: runs in its namespaces count for others. Remove one of the two.")
	}
}
