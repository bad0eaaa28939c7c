//go:build noscopechecks

package access

// ScopeChecks is off in this test build, see scopechecks.go.
const ScopeChecks = false
