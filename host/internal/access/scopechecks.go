//go:build !noscopechecks

package access

// ScopeChecks says that the host compares the tenant that a call names with those of its caller. A test build has it false
// (build tag noscopechecks), to show that the store's row-level security holds alone. The checks of scope are these:
//
//   - Policy.Tenant: a role in the tenant;
//   - roles, and the tenants of rules, where the registry of data shapes and feedback ask for them (Role.applies, SchemaRule);
//   - the tenants that may use the default namespace;
//   - the owner of the scenario that precheck is asked about.
//
// Without them a caller that is known, and has any role, may name any tenant. What stays is no comparison of tenants: who the
// caller is, the tenant in whose name the store is called (Policy.OnBehalf), and that a key holds the tenant which the call
// names. What no database holds stays checked as well: the folders and bundles of runpacks.
const ScopeChecks = true
