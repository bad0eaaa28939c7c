// Package scaffold writes new plugins, which build and pass their kit as they are.
package scaffold

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed all:templates
var templates embed.FS

// module is that of the SDK in Go.
const module = "github.com/decision-gate-host/decision-gate-host/sdk"

// Options say what to write.
type Options struct {
	Kind, Lang, Name string
	// Dir is a folder that is empty or not there.
	Dir string
	// SDK is the folder sdk of a clone; empty to look for it in the folders above.
	SDK string
}

// Plugin is what was written.
type Plugin struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
	// Next are the commands that build the plugin and run its kit, in its folder.
	Next []string `json:"next"`
}

// language is how plugins are written in one.
type language struct {
	// mark is a file of the SDK by which it is known.
	mark string
	next func(o *Options) []string
}

var languages = map[string]language{
	"go": {"go.mod", func(o *Options) []string {
		return []string{"GOWORK=off go mod tidy", "GOWORK=off go build", "decision-gate plugin test ./" + o.Name}
	}},
	"python": {"python/pyproject.toml", func(o *Options) []string {
		sdk := quote(filepath.Join(o.SDK, "python"))
		return []string{
			"python3 -m venv .venv", ".venv/bin/python -m pip install --require-hashes --only-binary :all: -r " + sdk + "/requirements.txt",
			".venv/bin/python -m pip install --no-deps " + sdk, "decision-gate plugin test .venv/bin/python -I -B plugin.py",
		}
	}},
	"typescript": {"typescript/package.json", func(*Options) []string {
		return []string{"npm install --ignore-scripts", "npm run build", "decision-gate plugin test node plugin.cjs"}
	}},
}

// made are the kinds that there are templates for.
var made = map[string][]string{"evidence": {"go", "python", "typescript"}}

// elsewhere is where to begin a plugin of a kind without a template.
var elsewhere = map[string]string{
	"store":   "docs/plugins.md shows the five calls of a store in Go, and plugins/store-sqlite is one",
	"runpack": "plugins/runpack-fs is a sink in Go",
	"auth":    "package sdk/auth has the interface in Go",
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Write writes a plugin.
func Write(o Options) (*Plugin, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	files, err := o.render()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	if there, err := os.ReadDir(o.Dir); err != nil || len(there) > 0 {
		return nil, errors.Join(fmt.Errorf("the folder %s is not empty: name another with --dir", o.Dir), err)
	}
	p := &Plugin{Dir: o.Dir, Next: languages[o.Lang].next(&o)}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(o.Dir, f.name), f.content, 0o644); err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f.name)
	}
	return p, nil
}

// check completes the options, or says what is wrong with them.
func (o *Options) check() error {
	if !nameForm.MatchString(o.Name) {
		return fmt.Errorf("the name %q: want lower-case letters, digits and -, such as evidence-tickets", o.Name)
	}
	if !slices.Contains(made[o.Kind], o.Lang) {
		why := fmt.Sprintf("no plugin of kind %s is written in %s yet; there is evidence in %s", o.Kind, o.Lang, strings.Join(made["evidence"], ", "))
		if hint := elsewhere[o.Kind]; hint != "" {
			why += "; " + hint
		}
		return errors.New(why)
	}
	if o.Dir == "" {
		o.Dir = o.Name
	}
	return o.findSDK()
}

// findSDK makes SDK an absolute path.
func (o *Options) findSDK() error {
	mark := languages[o.Lang].mark
	if o.SDK == "" {
		here, err := filepath.Abs(".")
		if err != nil {
			return err
		}
		for dir := here; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "sdk", mark)); err == nil {
				o.SDK = filepath.Join(dir, "sdk")
				return nil
			}
			if dir == filepath.Dir(dir) {
				return errors.New("the SDK is not published yet: name the folder sdk of a clone of its repository with --sdk")
			}
		}
	}
	var err error
	if o.SDK, err = filepath.Abs(o.SDK); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.SDK, mark)); err != nil {
		return fmt.Errorf("%s is not the folder sdk of a clone: it has no %s", o.SDK, mark)
	}
	return nil
}

type file struct {
	name    string
	content []byte
}

// render fills the templates of the language in.
func (o *Options) render() ([]file, error) {
	link, err := json.Marshal("file:" + filepath.ToSlash(filepath.Join(o.SDK, "typescript")))
	if err != nil {
		return nil, err
	}
	values := map[string]string{"Name": o.Name, "Module": module, "GoSDK": strconv.Quote(o.SDK), "JSONSDK": string(link)}
	paths, err := fs.Glob(templates, "templates/"+o.Lang+"/*")
	if err != nil {
		return nil, err
	}
	var files []file
	for _, p := range append(paths, "templates/contract.json") {
		t, err := template.ParseFS(templates, p)
		if err != nil {
			return nil, err
		}
		var content bytes.Buffer
		if err := t.Execute(&content, values); err != nil {
			return nil, err
		}
		files = append(files, file{strings.TrimSuffix(path.Base(p), ".tmpl"), content.Bytes()})
	}
	return files, nil
}

// quote makes a path one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
