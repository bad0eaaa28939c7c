package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// settings is the configuration, with its defaults.
type settings struct {
	Issuer       string   `json:"issuer"`
	Audiences    []string `json:"audiences"`
	Algorithms   []string `json:"algorithms"`
	RolesClaim   []string `json:"roles_claim"`
	PolicyClass  string   `json:"policy_class"`
	JWKSURI      string   `json:"jwks_uri"`
	JWKSHosts    []string `json:"jwks_hosts"`
	CAFile       string   `json:"ca_file"`
	ClockSkew    duration `json:"clock_skew"`
	Refresh      duration `json:"refresh"`
	RefetchPause duration `json:"refetch_pause"`
	Keep         duration `json:"keep"`
	Timeout      duration `json:"timeout"`
	Roles        []role   `json:"role"`

	issuer *url.URL
	ca     []byte // nil is the system's
}

// role gives those with a value in the claim a role.
type role struct {
	Value     string `json:"value"`
	Name      string `json:"name"`
	Tenant    uint64 `json:"tenant"`
	Namespace uint64 `json:"namespace"`
}

// duration is one that is written as Go writes it.
type duration time.Duration

func (d *duration) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(written)
	*d = duration(parsed)
	return err
}

func refused(attribute, format string, args ...any) error {
	return fault.New(fault.Invalid, "config %s: %s", attribute, fmt.Sprintf(format, args...))
}

// readSettings checks what the schema cannot say.
func readSettings(config json.RawMessage) (*settings, error) {
	s := &settings{}
	if err := json.Unmarshal(config, s); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "config: the settings cannot be read")
	}
	var err error
	if s.issuer, err = s.url("issuer", s.Issuer, nil); err != nil {
		return nil, err
	}
	if s.JWKSURI != "" {
		if _, err := s.url("jwks_uri", s.JWKSURI, s.issuer); err != nil {
			return nil, err
		}
	}
	blank := func(text string) bool { return strings.TrimSpace(text) == "" }
	switch {
	case len(s.Audiences) == 0 || slices.ContainsFunc(s.Audiences, blank):
		// Without one, tokens that any other service was given would let its operators in.
		return nil, refused("audiences", "want at least one, and none blank")
	case len(s.Algorithms) == 0:
		return nil, refused("algorithms", "want at least one")
	case len(s.RolesClaim) == 0 || slices.ContainsFunc(s.RolesClaim, blank):
		return nil, refused("roles_claim", "want at least one name, and none blank")
	case s.Keep < s.Refresh:
		return nil, refused("keep", "want at least what refresh is: keys must last until they are fetched again")
	case len(s.Roles) > auth.MaxRoles:
		return nil, refused("role", "there are %d blocks, more than %d", len(s.Roles), auth.MaxRoles)
	}
	for i, r := range s.Roles {
		if blank(r.Value) || blank(r.Name) || len(r.Name) > auth.MaxRole {
			return nil, refused(fmt.Sprintf("role[%d]", i), "value and name must not be blank, and a name has up to %d bytes", auth.MaxRole)
		}
	}
	if s.CAFile != "" {
		if s.ca, err = os.ReadFile(s.CAFile); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "config ca_file: the file cannot be read")
		}
	}
	return s, nil
}

// url checks a URL that tokens or keys are trusted by. Plain HTTP is for issuers of this machine, whose traffic nobody sees.
func (s *settings) url(attribute, text string, issuer *url.URL) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || strings.Contains(text, "#") || len(text) > auth.MaxSubject:
		return nil, refused(attribute, "want a URL such as https://issuer.example, without user and fragment, of up to %d bytes", auth.MaxSubject)
	case issuer == nil && u.RawQuery != "":
		return nil, refused(attribute, "an issuer has no query")
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && loopback(u) && (issuer == nil || loopback(issuer)):
		return u, nil
	default:
		return nil, refused(attribute, "want https; http is for issuers on a loopback address only")
	}
}

func loopback(u *url.URL) bool {
	if u.Hostname() == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(u.Hostname())
	return err == nil && address.IsLoopback()
}

// trusts reports whether keys may lie at a URL: on the issuer's own host, or on one that the configuration names.
func (s *settings) trusts(u *url.URL) bool {
	return hostPort(u) == hostPort(s.issuer) || slices.Contains(s.JWKSHosts, u.Host) || slices.Contains(s.JWKSHosts, hostPort(u))
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
