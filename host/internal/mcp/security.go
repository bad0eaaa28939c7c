package mcp

import "github.com/decision-gate-host/decision-gate-host/host/runpack"

// Security is how a host is run, as far as those must know who rely on what it decided.
type Security struct {
	// Development says that evidence nobody has verified was accepted, now or before.
	Development bool
	// Authority says that a server is asked about namespaces.
	Authority bool
}

// NamespaceAuthority is who knows the namespaces, in the words of mcp contract §4.14.
func (s *Security) NamespaceAuthority() string {
	if s.Authority {
		return "assetcore_catalog"
	}
	return "dg_registry"
}

// context is the remark in the manifest of a runpack.
func (s *Security) context() *runpack.SecurityContext {
	return &runpack.SecurityContext{DevPermissive: s.Development, NamespaceAuthority: s.NamespaceAuthority()}
}
