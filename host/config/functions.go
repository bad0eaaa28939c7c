package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxFileValue is the size in bytes of the largest file that file() reads: a key, a token or a certificate chain.
const maxFileValue = 64 << 10

// sensitive marks values that came from env() or file().
type sensitive struct{}

// functions is what an expression may use: env() and file(), nothing else, and no variables.
func functions(dir string) *hcl.EvalContext {
	return &hcl.EvalContext{Functions: map[string]function.Function{
		"env":  envFunction(),
		"file": fileFunction(dir),
	}}
}

func stringParameter(name string) function.Parameter {
	// Marked arguments are taken as they are: the library would otherwise put an unmarked one into an error.
	return function.Parameter{Name: name, Type: cty.String, AllowMarked: true}
}

func envFunction() function.Function {
	fallback := stringParameter("default")
	return function.New(&function.Spec{
		Description: "Value of an environment variable of the host.",
		Params:      []function.Parameter{stringParameter("name")},
		VarParam:    &fallback,
		Type: func(args []cty.Value) (cty.Type, error) {
			if len(args) > 2 {
				return cty.NilType, function.NewArgErrorf(2, `env takes a name and at most one default: env("NAME", "default")`)
			}
			return cty.String, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name, shown := plainText(args[0])
			if value, ok := os.LookupEnv(name); ok {
				if !utf8.ValidString(value) {
					return cty.NilVal, fmt.Errorf("environment variable %s is not UTF-8", shown)
				}
				return cty.StringVal(value).Mark(sensitive{}), nil
			}
			if len(args) == 2 {
				value, _ := plainText(args[1])
				return cty.StringVal(value).Mark(sensitive{}), nil
			}
			return cty.NilVal, fmt.Errorf("environment variable %s is not set; set it for the host, or give a default: env(%s, \"...\")", shown, shown)
		},
	})
}

func fileFunction(dir string) function.Function {
	return function.New(&function.Spec{
		Description: "Text of a file, without its last line break.",
		Params:      []function.Parameter{stringParameter("path")},
		Type:        function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path, shown := plainText(args[0])
			text, err := readValue(resolve(dir, path))
			if err != nil {
				return cty.NilVal, fmt.Errorf("cannot read file %s: %w", shown, err)
			}
			return cty.StringVal(text).Mark(sensitive{}), nil
		},
	})
}

// plainText is a string argument and how an error may show it.
func plainText(v cty.Value) (text, shown string) {
	unmarked, marks := v.Unmark()
	if unmarked.IsNull() {
		return "", "null"
	}
	text = unmarked.AsString()
	if len(marks) > 0 {
		return text, "(hidden)"
	}
	return text, fmt.Sprintf("%q", text)
}

// resolve makes a path of the configuration absolute or at least relative to the process: it is written relative to the
// file's folder.
func resolve(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readValue reads a small regular file. A device or a pipe is refused: reading one could block or never end.
func readValue(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", withoutPath(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileValue+1))
	switch {
	case err != nil:
		return "", withoutPath(err)
	case len(text) > maxFileValue:
		return "", fmt.Errorf("it is larger than %d bytes", maxFileValue)
	case !utf8.Valid(text):
		return "", errors.New("it is not UTF-8 text")
	}
	if cut, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		text = bytes.TrimSuffix(cut, []byte("\r"))
	}
	return string(text), nil
}

// withoutPath drops the path from an error of the file system: it may have come from env().
func withoutPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
