package host

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/remote"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/signature"
)

// openEvidence makes the providers of the configuration, and starts those that are programs.
func openEvidence(c *config.Config, logger *slog.Logger) (*evidence.Registry, error) {
	options := evidenceOptions(c)
	options.Memory = c.Server.MaxEvidenceMemory
	var err error
	if options.DefaultSignatures, options.Signatures, err = signatureRules(c); err != nil {
		return nil, err
	}
	r, err := evidence.New(options)
	if err != nil {
		return nil, err
	}
	for _, e := range c.Evidence.MCP {
		if err := addRemote(r, c, e, logger); err != nil {
			return nil, config.Join(err, r.Close())
		}
	}
	return r, nil
}

// checkEvidence finds what openEvidence would refuse, without starting or asking anything.
func checkEvidence(c *config.Config) error {
	_, _, err := signatureRules(c)
	errs := []error{err}
	for _, e := range c.Evidence.MCP {
		_, err := contractOf(c, e)
		errs = append(errs, err)
		if len(e.Command) > 0 {
			_, err := programOf(c, e)
			errs = append(errs, err)
		}
	}
	return config.Join(errs...)
}

func addRemote(r *evidence.Registry, c *config.Config, e *config.MCPEvidence, logger *slog.Logger) error {
	contract, err := contractOf(c, e)
	if err != nil {
		return err
	}
	var provider evidence.Provider
	if len(e.Command) > 0 {
		provider, err = startProgram(c, e, logger)
	} else {
		provider, err = remote.NewServer(remote.ServerOptions{
			URL: e.URL, Token: e.BearerToken, UserAgent: evidence.DefaultUserAgent,
			ConnectTimeout: e.ConnectTimeout, RequestTimeout: e.RequestTimeout, Concurrent: int(e.MaxConcurrent), AnyID: e.AnyResponseID,
		})
	}
	if err != nil {
		return err
	}
	return r.Register(gate.ProviderID(e.ID), provider, contract)
}

// contractOf reads the contract of a provider.
func contractOf(c *config.Config, e *config.MCPEvidence) (*evidence.Contract, error) {
	contract, err := evidence.LoadContract(gate.ProviderID(e.ID), e.Capabilities)
	var wrong *evidence.CapabilityError
	if errors.As(err, &wrong) {
		text := concealed(c, &e.Capabilities, e.Capabilities, wrong.Text)
		return nil, c.Refuse(&e.Capabilities, "Contract of a provider cannot be used", `The file that capabilities of evidence "mcp" %q names: %s.`, e.ID, text)
	}
	return contract, err
}

// concealed is a text without a value in it that came from env() or file().
func concealed(c *config.Config, field any, value, text string) string {
	if shown := c.Shown(field, value); value != "" && shown != strconv.Quote(value) {
		return strings.ReplaceAll(text, value, shown)
	}
	return text
}

// inheritedByDefault are the variables that programs cannot do much without, and that hold no secrets.
var inheritedByDefault = []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"}

func startProgram(c *config.Config, e *config.MCPEvidence, logger *slog.Logger) (evidence.Provider, error) {
	path, err := programOf(c, e)
	if err != nil {
		return nil, err
	}
	options := remote.ProgramOptions{
		Name: e.ID, Path: path, Args: e.Command[1:], Dir: cmp.Or(e.Dir, filepath.Dir(c.Path)), Env: environmentOf(e),
		RequestTimeout: e.RequestTimeout, AnyID: e.AnyResponseID, Logger: logger,
	}
	provider, err := remote.StartProgram(options)
	if err != nil {
		return nil, notStarted(c, e, err)
	}
	return provider, nil
}

func notStarted(c *config.Config, e *config.MCPEvidence, err error) error {
	text := concealed(c, &e.Command, e.Command[0], err.Error())
	return c.Refuse(&e.Command, "Evidence provider cannot be started", `evidence "mcp" %q: %s.`, e.ID, text)
}

// programOf is the path of a provider's program.
func programOf(c *config.Config, e *config.MCPEvidence) (string, error) {
	name := e.Command[0]
	if strings.ContainsRune(name, filepath.Separator) && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(c.Path), name)
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		var cause *exec.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		where := "a command with a slash is relative to the folder of the configuration, others are looked up in PATH"
		return "", notStarted(c, e, fmt.Errorf("failed to spawn mcp provider: %s: %w; %s", e.Command[0], err, where))
	}
	return path, nil
}

// environmentOf is what a program gets of the host's environment.
func environmentOf(e *config.MCPEvidence) []string {
	if e.InheritEnv {
		return os.Environ()
	}
	names := e.Env
	if names == nil {
		names = inheritedByDefault
	}
	var out []string
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// signatureRules are whose signatures evidence must have: of all providers, and of those with a rule of their own.
func signatureRules(c *config.Config) (*signature.Rule, map[gate.ProviderID]*signature.Rule, error) {
	rule, err := signatureRule(c, c.Trust.Signatures)
	errs := []error{err}
	own := map[gate.ProviderID]*signature.Rule{}
	for id, policy := range c.Evidence.Policies() {
		if policy.AcceptUnsigned {
			own[gate.ProviderID(id)] = nil
		}
		if policy.Signatures != nil {
			own[gate.ProviderID(id)], err = signatureRule(c, policy.Signatures)
			errs = append(errs, err)
		}
	}
	return rule, own, config.Join(errs...)
}

func signatureRule(c *config.Config, s *config.Signatures) (*signature.Rule, error) {
	if s == nil {
		return nil, nil
	}
	rule := &signature.Rule{Keys: map[string]ed25519.PublicKey{}, RequireBound: s.RequireBound}
	var errs []error
	load := func(field any, id, path string) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(c.Path), path)
		}
		key, err := publicKey(c, field, path)
		errs = append(errs, err)
		rule.Keys[id] = key
	}
	for _, path := range s.Keys {
		load(&s.Keys, path, path)
	}
	for _, id := range slices.Sorted(maps.Keys(s.NamedKeys)) {
		load(&s.NamedKeys, id, s.NamedKeys[id])
	}
	return rule, config.Join(errs...)
}

// publicKey reads a file with a key that a field names.
func publicKey(c *config.Config, field any, path string) (ed25519.PublicKey, error) {
	key, err := signature.LoadKey(path)
	if err != nil {
		return nil, c.Refuse(field, "Public key cannot be used", "%s: %s. The file must hold the 32 bytes of an Ed25519 public key, or these in base64.", c.Shown(field, path), err)
	}
	return key, nil
}

func evidenceOptions(c *config.Config) evidence.Options {
	var o evidence.Options
	if e := c.Evidence.Time; e != nil {
		o.Time = &evidence.TimeOptions{AllowLogical: e.AllowLogical}
	}
	if e := c.Evidence.Env; e != nil {
		o.Env = &evidence.EnvOptions{Allow: e.Allow, Deny: e.Deny, MaxValueBytes: int(e.MaxValueBytes), MaxKeyBytes: int(e.MaxKeyBytes), Values: e.Values}
	}
	if e := c.Evidence.JSON; e != nil {
		o.JSON = &evidence.JSONOptions{Root: e.Root, RootID: e.RootID, MaxBytes: e.MaxBytes, AllowYAML: e.AllowYAML}
	}
	if e := c.Evidence.HTTP; e != nil {
		o.HTTP = &evidence.HTTPOptions{
			AllowHTTP: e.AllowHTTP, Timeout: e.Timeout, MaxResponseBytes: e.MaxResponseBytes, AllowedHosts: e.AllowedHosts,
			UserAgent: e.UserAgent, AllowPrivate: e.AllowPrivate,
		}
	}
	return o
}
