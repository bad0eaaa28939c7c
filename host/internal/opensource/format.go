package opensource

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// format writes the configuration. The same file gives the same bytes. What has its default is left out.
func (t *translation) format(r *Result) []byte {
	file := hclwrite.NewEmptyFile()
	b := body{file.Body()}
	b.comment(`Made by "decision-gate config import" from ` + filepath.Base(t.options.Name) + ".")
	b.findings("NOT CARRIED OVER. Read each line before you let anybody use this host:", r.NotCarried)
	b.findings("Different from the open-source server:", r.Notes)
	b.settings(t.cfg, map[string]func(){"plugin": func() { t.plugins(b) }})
	return hclwrite.Format(file.Bytes())
}

func (t *translation) plugins(b body) {
	store := b.top("plugin", "store", "sqlite")
	store.set("command", "store-sqlite")
	settings := store.block("config")
	settings.set("path", t.inDataDir(database))
	if t.busyTimeout != 0 {
		settings.set("busy_timeout", t.busyTimeout)
	}
	// Without one, runpack_export asks for output_dir, as it did there.
	if !t.has("runpack_storage") {
		return
	}
	runpacks := b.top("plugin", "runpack", "fs")
	runpacks.set("command", "runpack-fs")
	runpacks.block("config").set("path", t.inDataDir(bundles))
}

// What lies in the data folder. Both are made by their plugins.
const (
	database = "gate.db"
	bundles  = "bundles"
)

func (b body) comment(line string) {
	text := "#"
	if line != "" {
		text += " " + oneLine(line)
	}
	b.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: []byte(text + "\n")}})
}

func (b body) findings(title string, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	b.comment("")
	b.comment(title)
	for _, f := range findings {
		where := ""
		if f.Path != "" {
			where = fmt.Sprintf("%s (line %d): ", f.Path, f.Line)
		}
		b.comment("- " + where + f.Reason)
	}
}

// oneLine keeps a text of others inside of the comment: a line break in it would be configuration.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}
