package host

import (
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// Remarks are what the manifests of a configuration's runpacks say beside the records, for those who write runpacks without a
// host.
func Remarks(c *config.Config) (gate.AnchorPolicy, *runpack.SecurityContext) {
	s := security(c)
	return gateSettings(c).Anchors, &runpack.SecurityContext{DevPermissive: s.Development, NamespaceAuthority: s.NamespaceAuthority()}
}
