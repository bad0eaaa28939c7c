package host

import (
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/authority"
	"github.com/decision-gate-host/decision-gate-host/host/internal/guide"
	"github.com/decision-gate-host/decision-gate-host/host/internal/mcp"
	"github.com/decision-gate-host/decision-gate-host/host/internal/strict"
)

// minClose is the time that plugins have to end, whatever the drain timeout: they close their backends in it.
const minClose = 5 * time.Second

func gateSettings(c *config.Config) *gate.Settings {
	settings := &gate.Settings{MinLane: gate.TrustLane(c.Trust.MinLane), ProviderLanes: map[gate.ProviderID]gate.TrustLane{}}
	if policy := dispatchPolicy(c); policy != nil {
		settings.Authorize = policy.Authorize
	}
	for id, policy := range c.Evidence.Policies() {
		if policy.MinLane != "" {
			settings.ProviderLanes[gate.ProviderID(id)] = gate.TrustLane(policy.MinLane)
		}
	}
	for _, a := range c.Anchors {
		settings.Anchors.Providers = append(settings.Anchors.Providers, gate.ProviderAnchorPolicy{
			ProviderID: gate.ProviderID(a.Provider),
			// In byte order, as manifests have them: bundles of one policy are the same however it was written.
			Requirement: gate.AnchorRequirement{AnchorType: a.Type, RequiredFields: slices.Sorted(slices.Values(a.RequiredFields))},
		})
	}
	return settings
}

// disclosure says whose values evidence_query returns (mcp contract §4.13).
func disclosure(c *config.Config) func(gate.ProviderID) bool {
	declared := c.Evidence.Policies()
	return func(id gate.ProviderID) bool {
		policy := declared[string(id)]
		return c.Disclosure.RawValues && (!c.Disclosure.RequireProviderOptIn || policy != nil && policy.AllowRaw)
	}
}

// namespaceAuthority is nil where there is none.
func namespaceAuthority(c *config.Config) *authority.Client {
	a := c.Namespace.Authority
	if a == nil {
		return nil
	}
	return authority.New(authority.Options{URL: a.URL, Token: a.Token, ConnectTimeout: a.ConnectTimeout, RequestTimeout: a.RequestTimeout})
}

func namespaceRule(c *config.Config) mcp.NamespaceRule {
	rule := mcp.NamespaceRule{AllowDefault: c.Namespace.AllowDefault}
	for _, tenant := range c.Namespace.DefaultTenants {
		rule.DefaultTenants = append(rule.DefaultTenants, gate.TenantID(tenant))
	}
	return rule
}

func strictRules(c *config.Config) strict.Rules {
	v := &c.Validation
	return strict.Rules{Permissive: !v.Strict && v.AllowPermissive, Lexicographic: v.Lexicographic, Deep: v.DeepEquals}
}

func schemaLimits(c *config.Config) mcp.SchemaLimits {
	limits := mcp.SchemaLimits{MaxBytes: int(c.Schemas.MaxSchemaBytes), MaxEntries: uint64(c.Schemas.MaxEntries)}
	if limits.MaxEntries == 0 {
		limits.MaxEntries = math.MaxInt64
	}
	return limits
}

func toolRule(c *config.Config) mcp.ToolRule {
	return mcp.ToolRule{Allow: c.Tools.Allow, Deny: c.Tools.Deny, ListAll: c.Tools.List == "all"}
}

// checkTools refuses the name of a tool that does not exist: it would hide nothing, or open nothing.
func checkTools(c *config.Config) error {
	var errs []error
	known := mcp.ToolNames()
	for _, list := range []struct {
		name  string
		tools *[]string
	}{{"tools.allow", &c.Tools.Allow}, {"tools.deny", &c.Tools.Deny}, {"auth.allowed_tools", &c.Auth.AllowedTools}} {
		for _, tool := range *list.tools {
			if !slices.Contains(known, tool) {
				errs = append(errs, c.Refuse(list.tools, "Unknown tool", "%s names %s, which is no tool. There are: %s.", list.name, c.Shown(list.tools, tool), strings.Join(known, ", ")))
			}
		}
	}
	return config.Join(errs...)
}

func discoveryRule(c *config.Config) mcp.DiscoveryRule {
	return mcp.DiscoveryRule{Allow: c.Discovery.Allow, Deny: c.Discovery.Deny, MaxBytes: c.Discovery.MaxResponseBytes}
}

// openDocs reads the documents, unless nothing is served of them. The error names the place in the configuration.
func openDocs(c *config.Config, logger *slog.Logger) (mcp.Docs, error) {
	d := &c.Docs
	docs := mcp.Docs{Search: d.Search, Resources: d.Resources}
	if !d.Search && !d.Resources {
		return docs, nil
	}
	var err error
	docs.Catalogue, err = guide.New(guide.Options{
		Own: d.Own, Extra: d.ExtraPaths, MaxDocBytes: d.MaxDocBytes, MaxTotalBytes: d.MaxTotalBytes,
		MaxDocs: int(d.MaxDocs), MaxSections: int(d.MaxSections), Logger: logger,
	})
	var wrong *guide.OptionError
	if !errors.As(err, &wrong) {
		return docs, err
	}
	if wrong.Path != "" {
		if absolute, err := filepath.Abs(wrong.Path); err == nil {
			wrong.Path = absolute
		}
		wrong.Path = c.Shown(&d.ExtraPaths, wrong.Path)
	}
	fields := map[string]any{"extra_paths": &d.ExtraPaths, "max_doc_bytes": &d.MaxDocBytes, "max_total_bytes": &d.MaxTotalBytes, "max_docs": &d.MaxDocs}
	return docs, c.Refuse(fields[wrong.Option], "Documents cannot be served", "%s.", wrong)
}
