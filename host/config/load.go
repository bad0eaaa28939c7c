package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	// maxFileBytes is the size of the largest configuration or lock file (mcp contract §9.1).
	maxFileBytes = 1 << 20
	// maxNesting is how deep brackets may nest and prefix operators may repeat. The parser calls itself for each: a
	// file of a million "(" would end the process by exhausting its stack, which nothing can recover from.
	maxNesting = 64
)

// Load reads and checks a configuration file and the lock file beside it. The error is an *Error when the text of one of
// them is at fault.
func Load(path string) (*Config, error) {
	c, err := LoadUnlocked(path)
	if err != nil {
		return nil, err
	}
	if c.Lock, err = LoadLock(LockPath(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return c, nil
}

// LoadUnlocked is Load without the lock file, for what writes it anew.
func LoadUnlocked(path string) (*Config, error) {
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(src, path)
}

// Parse is Load for a text that is already in memory. Path names it in diagnostics, and relative paths are relative to
// its folder.
func Parse(src []byte, path string) (*Config, error) {
	file, files, diags := parse(src, path)
	if diags.HasErrors() {
		return nil, asError(diags, files)
	}
	dir := filepath.Dir(path)
	d := &decoder{dir: dir, eval: functions(dir), places: map[any]place{}, files: files}
	c := &Config{Path: path, origin: origin{d.places, files}}
	setDefaults(c)
	d.block(file.Body, reflect.ValueOf(c).Elem())
	if c.Server.HTTP == nil && c.Server.Stdio == nil {
		c.Server.HTTP = &HTTP{}
		setDefaults(c.Server.HTTP)
	}
	for _, p := range c.Plugins {
		p.Dir = dir
		if p.Config.body == nil {
			p.Config = Body{body: hcl.EmptyBody(), eval: d.eval, origin: origin{d.places, files}, at: d.places[p].at, absent: true}
		}
	}
	check := &checker{places: d.places, end: file.Body.MissingItemRange()}
	// A value that could not be decoded is reported once, not a second time as out of bounds.
	if !d.diags.HasErrors() {
		check.config(c)
	}
	if err := asError(d.diags.Extend(check.diags), files); err != nil {
		return nil, err
	}
	return c, nil
}

// Validate checks a configuration that was built in Go. Load has done it already.
func (c *Config) Validate() error {
	check := &checker{}
	check.config(c)
	return asError(check.diags, nil)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(src) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return src, nil
}

// parse is the syntax of a file, refused before the parser sees it when it nests too deep.
func parse(src []byte, path string) (*hcl.File, sources, hcl.Diagnostics) {
	files := sources{path: src}
	tokens, diags := hclsyntax.LexConfig(src, path, hcl.InitialPos)
	if deep := tooDeep(tokens); deep != nil {
		return nil, files, hcl.Diagnostics{deep}
	}
	file, parseDiags := hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	if parseDiags.HasErrors() {
		return nil, files, parseDiags
	}
	if diags.HasErrors() {
		return nil, files, diags
	}
	return file, files, nil
}

// nesting says what each token does to the depth.
var nesting = map[hclsyntax.TokenType]int{
	hclsyntax.TokenOBrace: 1, hclsyntax.TokenCBrace: -1,
	hclsyntax.TokenOBrack: 1, hclsyntax.TokenCBrack: -1,
	hclsyntax.TokenOParen: 1, hclsyntax.TokenCParen: -1,
	hclsyntax.TokenTemplateInterp: 1, hclsyntax.TokenTemplateControl: 1, hclsyntax.TokenTemplateSeqEnd: -1,
	hclsyntax.TokenOQuote: 1, hclsyntax.TokenCQuote: -1,
	hclsyntax.TokenOHeredoc: 1, hclsyntax.TokenCHeredoc: -1,
}

func tooDeep(tokens hclsyntax.Tokens) *hcl.Diagnostic {
	depth, run := 0, 0
	for _, token := range tokens {
		depth = max(0, depth+nesting[token.Type])
		switch token.Type {
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			run++ // prefix operators and conditionals nest without a bracket
		case hclsyntax.TokenNewline:
			run = 0
		}
		if depth > maxNesting || run > maxNesting {
			return problem(token.Range, "Nested too deep", "Brackets, templates and operators may nest at most %d deep.", maxNesting)
		}
	}
	return nil
}
