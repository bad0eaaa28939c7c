package config

// Audit is the audit log (mcp contract §6). Without the block there is none.
type Audit struct {
	Path             string `hcl:"path" path:"true" max:"4096" help:"File that a JSON object a line is appended to; it is made when it is not there. The error output of the host when absent."`
	PrecheckPayloads bool   `hcl:"precheck_payloads" default:"false" help:"Write what precheck was handed and what it answered, not only their hashes."`
}

// audit refuses a path that names nothing: the log would go elsewhere than was meant.
func (c *checker) audit(cfg *Config) {
	if a := cfg.Audit; a != nil && a.Path == "" && c.places[&a.Path] != (place{}) {
		c.problem(&a.Path, "Wrong path", "audit.path is empty. Name a file, or remove the attribute to write to the error output.")
	}
}
