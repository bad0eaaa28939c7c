package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// PluginSignatures is who may have made the programs of plugins.
type PluginSignatures struct {
	Required bool         `hcl:"required" default:"true" help:"Start no plugin without a signature. When false, those that have a signature file are checked, and the others start."`
	Keys     []*PluginKey `block:"key" help:"A key that signs plugins."`
}

// PluginKey is a public key of minisign.
type PluginKey struct {
	Name      string `label:"name" help:"Name of the key in signed_by and messages."`
	PublicKey string `hcl:"public_key" required:"true" min:"1" max:"1024" help:"Public key of minisign: its one line that begins with RW, or the whole file."`
}

// Parse reads the public key.
func (k *PluginKey) Parse() (minisign.PublicKey, error) {
	lines := strings.Fields(k.PublicKey)
	var key minisign.PublicKey
	if len(lines) == 0 {
		return key, errors.New("it is empty")
	}
	// The comment before it is nobody's word.
	if err := key.UnmarshalText([]byte(lines[len(lines)-1])); err != nil {
		return key, errors.New(`it is no public key of minisign, which has 56 characters and begins with "RW"`)
	}
	return key, nil
}

// Names are the names of the keys.
func (s *PluginSignatures) Names() []string {
	var names []string
	if s != nil {
		for _, k := range s.Keys {
			names = append(names, k.Name)
		}
	}
	return names
}

func (c *checker) pluginSignatures(cfg *Config) {
	names := cfg.PluginSignatures.Names()
	for _, p := range cfg.Plugins {
		for _, name := range p.SignedBy {
			if !slices.Contains(names, name) {
				c.problem(&p.SignedBy, "Unknown key", "signed_by lists keys of plugin_signatures, and there is no key %q.%s", name, suggestion(name, names))
			}
		}
	}
	s := cfg.PluginSignatures
	if s == nil {
		return
	}
	if len(s.Keys) == 0 {
		c.problem(s, "Missing key", "plugin_signatures needs a block key with a public key, or no plugin could start.")
	}
	ids := map[uint64]string{}
	for _, k := range s.Keys {
		key, err := k.Parse()
		switch earlier, double := ids[key.ID()]; {
		case err != nil:
			c.problem(&k.PublicKey, "Wrong public key", "public_key of %q: %s.", k.Name, err)
		case double:
			c.problem(&k.PublicKey, "Key twice", "%q and %q are the same key. Remove one of the two.", earlier, k.Name)
		default:
			ids[key.ID()] = k.Name
		}
	}
}

// KeyID is the id of a key as minisign shows it.
func KeyID(id uint64) string { return fmt.Sprintf("%016X", id) }
