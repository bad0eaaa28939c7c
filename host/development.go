package host

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/mcp"
)

// checkDevelopment refuses names by which other machines may reach an embedder's server: whoever can connect can open gates.
func checkDevelopment(cfg Config) error {
	d := cfg.Settings.Development
	if d != nil && d.AcceptAsserted && len(cfg.Hosts) > 0 {
		return errors.New("development.accept_asserted is refused beside host.Config.Hosts: whoever reaches the host by these names could open gates")
	}
	return nil
}

// currentSettings returns the settings of a call that begins now: relaxed ones until the development mode of the
// configuration ends. Whoever decides is handed one or the other, and needs no clock.
func currentSettings(c *config.Config, now func() time.Time, logger *slog.Logger) func() *gate.Settings {
	strict := gateSettings(c)
	if c.Development == nil || !c.Development.AcceptAsserted {
		return func() *gate.Settings { return strict }
	}
	end, err := c.Development.End()
	if err != nil {
		// Validate has refused it; an end that is not known has come.
		return func() *gate.Settings { return strict }
	}
	relaxed := relaxedSettings(c)
	var ended sync.Once
	return func() *gate.Settings {
		if end.IsZero() || now().Before(end) {
			return relaxed
		}
		ended.Do(func() {
			logger.Warn("the development mode has ended: evidence must be verified again", "until", c.Development.Until)
		})
		return strict
	}
}

// relaxedSettings accept asserted evidence, but of providers that are exempt (mcp contract §9.4).
func relaxedSettings(c *config.Config) *gate.Settings {
	relaxed := gateSettings(c)
	kept := relaxed.MinLane
	relaxed.MinLane = gate.Asserted
	for _, id := range c.Development.ExemptProviders {
		if relaxed.ProviderLanes[gate.ProviderID(id)] != gate.Verified {
			relaxed.ProviderLanes[gate.ProviderID(id)] = kept
		}
	}
	return relaxed
}

// warnDevelopment says at the start what the host accepts.
func warnDevelopment(c *config.Config, logger *slog.Logger) {
	d := c.Development
	if d == nil || !d.AcceptAsserted {
		return
	}
	until := d.Until
	if until == "" {
		until = "not set: it never ends"
	}
	logger.Warn("development.accept_asserted is on: gates open on evidence that nobody has verified", "until", until, "exempt_providers", d.ExemptProviders)
}

// security is how the host is run. A development mode that has ended is still told: the runs may be from before.
func security(c *config.Config) mcp.Security {
	return mcp.Security{
		Development: c.Development != nil && c.Development.AcceptAsserted,
		Authority:   c.Namespace.Authority != nil,
	}
}
