package config

import "time"

// PluginEvidence is what a configuration says of a provider that is an evidence plugin, which needs no such block: the
// plugin block makes the provider.
type PluginEvidence struct {
	ID string `label:"id" help:"Name of the plugin \"evidence\" block, which is the provider id."`
	EvidencePolicy
	Timeout time.Duration `hcl:"timeout" default:"5s" min:"50ms" max:"30s" help:"Time in which the plugin answers one question, a restart of its process included."`
}
