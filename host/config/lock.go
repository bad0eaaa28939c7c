package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// LockFile is the name of the lock file, beside the configuration.
const LockFile = "decision-gate.lock.hcl"

// Lock is what was true of every plugin when it was pinned: the sum of its program, and its manifest, so that a
// configuration can be checked to the line without starting anything.
type Lock struct {
	Plugins []*Locked `block:"plugin"`

	// Path is the file it was read from.
	Path string
}

// Locked is one plugin of the lock file.
type Locked struct {
	Kind string `label:"kind"`
	Name string `label:"name"`

	Command Command `hcl:"command" required:"true"`
	SHA256  string  `hcl:"sha256" required:"true"`
	// Files are the sums of the arguments that name files, by argument: the script of an interpreted plugin.
	Files map[string]string `hcl:"files"`
	// Plugin is the name in the manifest, Version its version.
	Plugin       string   `hcl:"plugin" required:"true"`
	Version      string   `hcl:"version" required:"true"`
	Protocols    []string `hcl:"protocols"`
	Capabilities []string `hcl:"capabilities"`

	Schema lockedSchema `block:"settings"`

	// SignedBy and Comment are the key that has signed the program, and what its owner says of it, when it was pinned just
	// now. They are not written: a signature is checked at each start.
	SignedBy, Comment string
}

// ConfigSchema is the schema of the plugin's settings.
func (l *Locked) ConfigSchema() *sdk.ConfigSchema {
	schema := l.Schema.sdk()
	return &schema
}

// SetConfigSchema replaces the schema of the plugin's settings.
func (l *Locked) SetConfigSchema(schema sdk.ConfigSchema) { l.Schema = lockSchema(schema) }

type lockedSchema struct {
	Attributes []*lockedAttribute `block:"attribute"`
	Blocks     []*lockedBlock     `block:"block"`
}

type lockedAttribute struct {
	Name     string   `label:"name"`
	Type     string   `hcl:"type" required:"true"`
	Required bool     `hcl:"required"`
	Default  string   `hcl:"default_json"`
	Help     string   `hcl:"help"`
	Secret   bool     `hcl:"secret"`
	Minimum  string   `hcl:"minimum"`
	Maximum  string   `hcl:"maximum"`
	OneOf    []string `hcl:"one_of"`
}

type lockedBlock struct {
	Name     string       `label:"name"`
	Help     string       `hcl:"help"`
	Required bool         `hcl:"required"`
	Repeated bool         `hcl:"repeated"`
	Schema   lockedSchema `block:"settings"`
}

// Find is the entry of a plugin, nil when it has none.
func (l *Lock) Find(kind, name string) *Locked {
	if l == nil {
		return nil
	}
	for _, p := range l.Plugins {
		if p.Kind == kind && p.Name == name {
			return p
		}
	}
	return nil
}

// LockPath is where the lock file of a configuration file is.
func LockPath(configPath string) string {
	return filepath.Join(filepath.Dir(configPath), LockFile)
}

// LoadLock reads a lock file. The error is fs.ErrNotExist when there is none.
func LoadLock(path string) (*Lock, error) {
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	file, files, diags := parse(src, path)
	if diags.HasErrors() {
		return nil, asError(diags, files)
	}
	d := &decoder{places: map[any]place{}, files: files}
	lock := &Lock{Path: path}
	d.block(file.Body, reflect.ValueOf(lock).Elem())
	for _, p := range lock.Plugins {
		if !hexSum.MatchString(p.SHA256) {
			d.problem(d.places[p].at, "Not a SHA-256", `sha256 must be 64 lower-case hexadecimal digits. Write the file anew with "decision-gate plugin pin".`)
		}
	}
	if err := asError(d.diags, files); err != nil {
		return nil, err
	}
	return lock, nil
}

const lockHeader = `# Written by "decision-gate plugin pin". Do not edit: a plugin whose program is not the one named here does not start.
# Keep this file under version control beside the configuration.

`

// WriteLock writes a lock file: the same bytes for the same lock, and never half of them.
func WriteLock(path string, lock *Lock) error {
	text := lock.format()
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+LockFile+".*")
	if err != nil {
		return fmt.Errorf("the lock file %s cannot be written: %w; the folder %s must exist and be writable", path, withoutPath(err), dir)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Chmod(fs.FileMode(0o644))
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

func (l *Lock) format() []byte {
	plugins := slices.Clone(l.Plugins)
	slices.SortFunc(plugins, func(a, b *Locked) int {
		return strings.Compare(a.Kind+"\x00"+a.Name, b.Kind+"\x00"+b.Name)
	})
	file := hclwrite.NewEmptyFile()
	for i, p := range plugins {
		if i > 0 {
			file.Body().AppendNewline()
		}
		writeBlock(file.Body(), "plugin", reflect.ValueOf(p).Elem())
	}
	return append([]byte(lockHeader), file.Bytes()...)
}

// writeBlock is the inverse of decoder.block: it leaves out what is empty.
func writeBlock(parent *hclwrite.Body, name string, v reflect.Value) {
	var labels []string
	for _, f := range tagged(v.Type(), "label") {
		labels = append(labels, v.FieldByIndex(f.Index).String())
	}
	block := parent.AppendNewBlock(name, labels)
	body := block.Body()
	for _, f := range attributesOf(v.Type()) {
		if field := v.FieldByIndex(f.Index); !field.IsZero() && (field.Kind() == reflect.String || field.Kind() == reflect.Bool || field.Len() > 0) {
			body.SetAttributeValue(f.Tag.Get("hcl"), lockValue(field.Interface()))
		}
	}
	for _, f := range blocksOf(v.Type()) {
		field := v.FieldByIndex(f.Index)
		if field.Kind() == reflect.Slice {
			for i := range field.Len() {
				writeBlock(body, f.Tag.Get("block"), field.Index(i).Elem())
			}
		} else if !field.IsZero() {
			writeBlock(body, f.Tag.Get("block"), field)
		}
	}
}

func lockValue(v any) cty.Value {
	switch v := v.(type) {
	case bool:
		return cty.BoolVal(v)
	case string:
		return cty.StringVal(v)
	case Command:
		return lockValue([]string(v))
	case []string:
		var list []cty.Value
		for _, text := range v {
			list = append(list, cty.StringVal(text))
		}
		return cty.ListVal(list)
	default:
		object := map[string]cty.Value{}
		for k, text := range v.(map[string]string) {
			object[k] = cty.StringVal(text)
		}
		return cty.MapVal(object)
	}
}

func lockSchema(schema sdk.ConfigSchema) lockedSchema {
	var out lockedSchema
	for _, a := range schema.Attributes {
		out.Attributes = append(out.Attributes, &lockedAttribute{
			Name: a.Name, Type: string(a.Type), Required: a.Required, Default: a.Default, Help: a.Help,
			Secret: a.Secret, Minimum: a.Minimum, Maximum: a.Maximum, OneOf: a.OneOf,
		})
	}
	for _, b := range schema.Blocks {
		out.Blocks = append(out.Blocks, &lockedBlock{Name: b.Name, Help: b.Help, Required: b.Required, Repeated: b.Repeated, Schema: lockSchema(b.Body)})
	}
	return out
}

func (s lockedSchema) sdk() sdk.ConfigSchema {
	var out sdk.ConfigSchema
	for _, a := range s.Attributes {
		out.Attributes = append(out.Attributes, sdk.Attribute{
			Name: a.Name, Type: sdk.AttributeType(a.Type), Required: a.Required, Default: a.Default, Help: a.Help,
			Secret: a.Secret, Minimum: a.Minimum, Maximum: a.Maximum, OneOf: a.OneOf,
		})
	}
	for _, b := range s.Blocks {
		out.Blocks = append(out.Blocks, sdk.Block{Name: b.Name, Help: b.Help, Required: b.Required, Repeated: b.Repeated, Body: b.Schema.sdk()})
	}
	return out
}
