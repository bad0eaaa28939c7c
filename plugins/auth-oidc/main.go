// Command auth-oidc is the auth plugin that takes bearer tokens of an OpenID Connect issuer: JSON web tokens, whose signature it
// checks with the keys that the issuer publishes. It is asked once for a token, keeps nothing, and never tells a token on.
//
// Whoever has a token of a configured audience is who the token says. It cannot know of tokens that the issuer takes back
// before they expire.
package main

import "github.com/decision-gate-host/decision-gate-host/sdk"

var _ sdk.HealthChecker = (*authenticator)(nil)

// version is set when a release is built.
var version = "0.1.0-dev"

func main() { sdk.Serve(plugin) }

var plugin = sdk.Plugin{
	Name:     "auth-oidc",
	Version:  version,
	OpenAuth: open,
	Config: sdk.ConfigSchema{
		Attributes: []sdk.Attribute{
			{
				Name: "issuer", Type: sdk.String, Required: true,
				Help: "URL of the issuer, exactly as its tokens have it in iss; https, unless it is a loopback address.",
			},
			{
				Name: "audiences", Type: sdk.StringList, Required: true,
				Help: "Audiences that stand for this host, of which a token must have one in aud. Give the host one of its own: a token for another service is as good as its password.",
			},
			{
				Name: "algorithms", Type: sdk.StringList, Default: `["RS256","ES256"]`, OneOf: algorithms,
				Help: "Algorithms with which tokens may be signed.",
			},
			{
				Name: "roles_claim", Type: sdk.StringList, Default: `["roles"]`,
				Help: "Where a token has the roles of its subject, as names from the outermost claim inwards, such as [\"realm_access\", \"roles\"]; the value is a string or a list of strings.",
			},
			{
				Name: "policy_class", Type: sdk.String, OneOf: []string{"prod", "project", "scratch"},
				Help: "Policy class of every subject; none when absent.",
			},
			{
				Name: "jwks_uri", Type: sdk.String,
				Help: "URL of the issuer's keys; that of the issuer's discovery document when absent.",
			},
			{
				Name: "jwks_hosts", Type: sdk.StringList, Default: `[]`,
				Help: "Hosts, with the port when it is not that of https, that may have the issuer's keys besides the issuer's own.",
			},
			{
				Name: "ca_file", Type: sdk.String,
				Help: "File with the certificates, in PEM, that the issuer's must be signed by; the system's when absent.",
			},
			{
				Name: "clock_skew", Type: sdk.Duration, Default: `"30s"`, Minimum: "0s", Maximum: "5m",
				Help: "How far the issuer's clock may be off.",
			},
			{
				Name: "refresh", Type: sdk.Duration, Default: `"5m"`, Minimum: "1s", Maximum: "24h",
				Help: "Age at which keys are fetched again, after which a key that the issuer has removed counts no more.",
			},
			{
				Name: "refetch_pause", Type: sdk.Duration, Default: `"10s"`, Minimum: "100ms", Maximum: "1h",
				Help: "Time between two fetches at least, however many tokens name keys that nobody knows.",
			},
			{
				Name: "keep", Type: sdk.Duration, Default: `"1h"`, Minimum: "1s", Maximum: "24h",
				Help: "Age up to which keys are used while they cannot be fetched.",
			},
			{
				Name: "timeout", Type: sdk.Duration, Default: `"3s"`, Minimum: "10ms", Maximum: "1m",
				Help: "Time for fetching keys.",
			},
		},
		Blocks: []sdk.Block{{
			Name: "role", Repeated: true, Help: "Gives subjects with a value in roles_claim a role. Values without a block give none.",
			Body: sdk.ConfigSchema{Attributes: []sdk.Attribute{
				{Name: "value", Type: sdk.String, Required: true, Help: "Value in roles_claim, compared exactly."},
				{Name: "name", Type: sdk.String, Required: true, Help: "Name of the role, such as TenantAdmin."},
				{Name: "tenant", Type: sdk.Integer, Minimum: "1", Help: "Tenant id in which the subject has the role; in all when absent."},
				{Name: "namespace", Type: sdk.Integer, Minimum: "1", Help: "Namespace id in which the subject has the role; in all when absent."},
			}},
		}},
	},
}
