package catalog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// vendor makes signatures.
type vendor struct {
	public  minisign.PublicKey
	private minisign.PrivateKey
}

func newVendor(t *testing.T) vendor {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return vendor{public, private}
}

// sign is what "minisign -S" writes.
func (v vendor) sign(t *testing.T, content []byte) []byte {
	t.Helper()
	reader := minisign.NewReader(bytes.NewReader(content))
	if _, err := new(bytes.Buffer).ReadFrom(reader); err != nil {
		t.Fatal(err)
	}
	return reader.SignWithComments(v.private, "plugin 1.2.3\x1b[31m", "signature of a plugin")
}

func trusting(required bool, vendors map[string]vendor) *config.PluginSignatures {
	policy := &config.PluginSignatures{Required: required}
	for name, v := range vendors {
		policy.Keys = append(policy.Keys, &config.PluginKey{Name: name, PublicKey: "untrusted comment: minisign public key\n" + v.public.String() + "\n"})
	}
	return policy
}

func writeFile(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	// Not over a program that runs.
	if err := errors.Join(os.WriteFile(path+".new", content, mode), os.Chmod(path+".new", mode), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// TestSignatures has programs with good and bad signatures, which validate and a start must judge alike.
func TestSignatures(t *testing.T) {
	acme, other := newVendor(t), newVendor(t)
	program, err := os.ReadFile(filepath.Join(binDir, "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	good := acme.sign(t, program)
	legacy := minisign.Sign(acme.private, program)
	relabelled := bytes.Replace(legacy, []byte("\nRW"), []byte("\nRU"), 1) // the base64 of "Ed" and of "ED"
	if bytes.Equal(legacy, relabelled) || !bytes.Contains(good, []byte("\nRU")) {
		t.Fatalf("not the forms of minisign: %s%s", legacy, good)
	}
	for name, test := range map[string]struct {
		program   []byte
		signature []byte
		optional  bool
		by        []string
		want      string // empty when it starts
	}{
		"good":                       {program, good, false, nil, ""},
		"good, by the key asked for": {program, good, false, []string{"acme"}, ""},
		"none":                       {program, nil, false, nil, "it has no signature: there is no file"},
		"none, and none required":    {program, nil, true, nil, ""},
		"none, but the plugin asks":  {program, nil, true, []string{"acme"}, "minisign -Sm "},
		"program was changed":        {append(bytes.Clone(program), 0), good, false, nil, "do not start it otherwise"},
		"changed, and none required": {append(bytes.Clone(program), 0), good, true, nil, "do not start it otherwise"},
		"of another file":            {program, acme.sign(t, []byte("another file")), false, nil, "do not start it otherwise"},
		"by a key nobody trusts":     {program, newVendor(t).sign(t, program), false, nil, `and the configuration trusts "acme" (`},
		"by another key than asked":  {program, other.sign(t, program), false, []string{"acme"}, `was made with the key ` + config.KeyID(other.public.ID())},
		"key id was changed":         {program, forgeID(t, newVendor(t).sign(t, program), acme), false, nil, "do not start it otherwise"},
		"in the old form":            {program, legacy, false, nil, "is in the old form of minisign"},
		"old form, passed off":       {program, relabelled, false, nil, "do not start it otherwise"},
		"comment was changed":        {program, bytes.Replace(good, []byte("1.2.3"), []byte("9.9.9"), 1), false, nil, "do not start it otherwise"},
		"cut off":                    {program, good[:100], false, nil, "is not a signature file of minisign"},
		"garbage":                    {program, bytes.Repeat([]byte("x"), maxSignature+1), false, nil, "which no signature has"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "signed")
			writeFile(t, path, test.program, 0o755)
			if test.signature != nil {
				writeFile(t, path+signatureSuffix, test.signature, 0o644)
			}
			p := storePlugin("store", nil)
			p.Command, p.SignedBy = config.Command{path, "store"}, test.by
			log := &testLog{}
			options := options(log, p)
			options.Signatures = trusting(!test.optional, map[string]vendor{"acme": acme, "other": other})
			wantVerdict(t, "validate", Check(options), test.want)
			_, err := Pin(t.Context(), options)
			wantVerdict(t, "pin", err, test.want)
			c, err := Open(t.Context(), options)
			wantVerdict(t, "start", err, test.want)
			if err != nil {
				return
			}
			if test.signature != nil {
				wantContains(t, log.String(), "signed_by=acme", `comment="plugin 1.2.3 [31m"`)
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// forgeID puts the id of a vendor's key into a signature by another key.
func forgeID(t *testing.T, text []byte, v vendor) []byte {
	t.Helper()
	var s minisign.Signature
	if err := s.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	s.KeyID = v.public.ID()
	out, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantVerdict(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// TestSignatureAtRestart changes the program while it runs: the process that is lost is not replaced by another program.
func TestSignatureAtRestart(t *testing.T) {
	acme := newVendor(t)
	program, err := os.ReadFile(filepath.Join(binDir, "plugin"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "signed")
	writeFile(t, path, program, 0o755)
	writeFile(t, path+signatureSuffix, acme.sign(t, program), 0o644)
	p := storePlugin("store", nil)
	p.Command = config.Command{path, "store"}
	log := &testLog{}
	options := options(log, p)
	options.Signatures = trusting(true, map[string]vendor{"acme": acme})
	c, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Close(ctx)
	}()
	writeFile(t, path, append(program, 0), 0o755)
	signal(t, c, syscall.SIGKILL)
	eventually(t, "refusal of the changed program", func() bool { return strings.Contains(log.String(), "do not start it otherwise") })
	if s := c.Status()[0]; s.State == Ready || s.Restarts != 0 {
		t.Errorf("the changed program runs: %+v", s)
	}
}

// TestSignedScript has an interpreter of the system's, which needs no signature, and a script, which does.
func TestSignedScript(t *testing.T) {
	acme := newVendor(t)
	dir := t.TempDir()
	script := []byte("exec " + filepath.Join(binDir, "plugin") + " store\n")
	writeFile(t, filepath.Join(dir, "plugin.sh"), script, 0o755)
	p := storePlugin("store", nil)
	p.Command, p.Dir = config.Command{"sh", "plugin.sh"}, dir
	options := options(&testLog{}, p)
	options.Signatures = trusting(true, map[string]vendor{"acme": acme})
	wantVerdict(t, "without a signature", Check(options), "there is no file "+filepath.Join(dir, "plugin.sh.minisig"))
	writeFile(t, filepath.Join(dir, "plugin.sh.minisig"), acme.sign(t, script), 0o644)
	wantVerdict(t, "signed", Check(options), "")
	c, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	writeFile(t, filepath.Join(dir, "plugin.sh"), append(script, '\n'), 0o755)
	_, err = Open(t.Context(), options)
	wantVerdict(t, "changed", err, "do not start it otherwise")
}
