package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

const (
	// signatureSuffix is what the name of a signature file has after that of what it signs, as minisign names it.
	signatureSuffix = ".minisig"
	// maxSignature is the length in bytes of the longest signature file that is read.
	maxSignature = 8 << 10
)

// signers are the keys that may have signed a program.
type signers struct {
	// required says that there must be a signature; otherwise one that is there must be good.
	required bool
	keys     map[uint64]signer
}

type signer struct {
	name string
	key  minisign.PublicKey
}

// signature is what is known of a signature that was found good.
type signature struct {
	// key is the name of the key in the configuration, comment the trusted comment of who has signed.
	key, comment string
}

// signersOf are the keys that a configuration trusts with a plugin; nil when it asks for no signatures.
func signersOf(p *config.Plugin, policy *config.PluginSignatures) (*signers, error) {
	if policy == nil {
		return nil, nil
	}
	out := &signers{required: policy.Required || len(p.SignedBy) > 0, keys: map[uint64]signer{}}
	for _, k := range policy.Keys {
		if len(p.SignedBy) > 0 && !slices.Contains(p.SignedBy, k.Name) {
			continue
		}
		key, err := k.Parse()
		if err != nil {
			return nil, fmt.Errorf("public key %q: %w", k.Name, err)
		}
		out.keys[key.ID()] = signer{k.Name, key}
	}
	return out, nil
}

// same compares what two configurations trust.
func (s *signers) same(other *signers) bool {
	if s == nil || other == nil {
		return s == other
	}
	if s.required != other.required || len(s.keys) != len(other.keys) {
		return false
	}
	for id, mine := range s.keys {
		if theirs, ok := other.keys[id]; !ok || theirs.name != mine.name || !theirs.key.Equal(mine.key) {
			return false
		}
	}
	return true
}

// verify checks the signature of a file over the bytes of a reader, which are those that are executed. The result is empty
// when there is no signature and none is required.
func (s *signers) verify(path string, content io.Reader) (signature, error) {
	text, err := s.read(path)
	if text == nil || err != nil {
		return signature{}, err
	}
	name := path + signatureSuffix
	var parsed minisign.Signature
	if err := parsed.UnmarshalText(text); err != nil {
		return signature{}, fmt.Errorf("%s is not a signature file of minisign: get it again from who made the plugin", name)
	}
	// Which form it is in is not signed. With one form only, no signature can be passed off as that of another text.
	if parsed.Algorithm != minisign.HashEdDSA {
		return signature{}, fmt.Errorf("%s is in the old form of minisign, which is not accepted: sign again with minisign 0.11 or newer, or with -H", name)
	}
	signer, ok := s.keys[parsed.KeyID]
	if !ok {
		return signature{}, fmt.Errorf("%s was made with the key %s, and the configuration trusts %s for this plugin: get one from them, or add the key if you trust it", name, config.KeyID(parsed.KeyID), s.known())
	}
	reader := minisign.NewReader(content)
	if _, err := io.Copy(io.Discard, reader); err != nil {
		return signature{}, err
	}
	if !reader.Verify(signer.key, text) {
		return signature{}, fmt.Errorf("%s is no signature of %s by the key %q: one of the two was changed, or is of another version; get both again from who made the plugin, and do not start it otherwise", name, path, signer.name)
	}
	return signature{signer.name, plain(parsed.TrustedComment)}, nil
}

// read is the signature file of a path; nil when there is none and none is required.
func (s *signers) read(path string) ([]byte, error) {
	name := path + signatureSuffix
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.required:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("it has no signature: there is no file %s; get it from who made the plugin, or sign the program yourself with: minisign -Sm %s", name, path)
	case err != nil:
		return nil, fmt.Errorf("its signature cannot be read: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSignature+1))
	if err == nil && len(text) > maxSignature {
		err = fmt.Errorf("%s has more than %d bytes, which no signature has", name, maxSignature)
	}
	// Not nil, which would mean that there is none.
	return append([]byte{}, text...), err
}

// known names the keys with their ids.
func (s *signers) known() string {
	var names []string
	for id, k := range s.keys {
		names = append(names, fmt.Sprintf("%q (%s)", k.name, config.KeyID(id)))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// verifier is verified where somebody asks for signatures, and nil otherwise: a program that nobody checks need not be copied to
// memory, where it would take as much as it is long.
func (p *program) verifier() func(io.Reader) error {
	if p.signers == nil {
		return nil
	}
	return p.verified
}

// verified checks the signatures of a plugin: of the program over the bytes that are executed, and of the script of an
// interpreter. An interpreter that was found in the folders of PATH is the system's, and has none.
func (p *program) verified(content io.Reader) error {
	if p.signers == nil {
		return nil
	}
	var found signature
	_, script := scriptPath(p.plugin)
	if !p.fromSystem || script == "" {
		var err error
		if found, err = p.signers.verify(p.path, content); err != nil {
			return p.refuse(&p.plugin.Command, err)
		}
	}
	if script != "" {
		if absolute, err := filepath.Abs(script); err == nil {
			script = absolute
		}
		f, err := os.Open(script)
		if err != nil {
			return p.refuse(&p.plugin.Command, err)
		}
		defer f.Close()
		if found, err = p.signers.verify(script, f); err != nil {
			return p.refuse(&p.plugin.Command, err)
		}
	}
	p.signed.Store(&found)
	return nil
}

// checkSignature is verified for who asks without starting anything.
func (p *program) checkSignature() error {
	if p.signers == nil || p.path == "" {
		return nil
	}
	f, err := os.Open(p.path)
	if err != nil {
		return p.refuse(&p.plugin.Command, err)
	}
	defer f.Close()
	return p.verified(f)
}
