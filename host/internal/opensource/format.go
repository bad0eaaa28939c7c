package opensource

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// format writes the configuration. The same file gives the same bytes. What has its default is left out.
func (t *translation) format(r *Result) []byte {
	file := hclwrite.NewEmptyFile()
	b := body{file.Body()}
	b.comment(`Made by "decision-gate config import" from ` + filepath.Base(t.options.Name) + ".")
	b.findings("NOT CARRIED OVER. Read each line before you let anybody use this host:", r.NotCarried)
	b.findings("Different from the open-source server:", r.Notes)
	t.server(b)
	t.plugins(b)
	t.providerBlocks(b)
	t.policies(b)
	t.shown(b)
	return hclwrite.Format(file.Bytes())
}

func (t *translation) server(b body) {
	c, normal := t.cfg.Server, config.Default().Server
	server := b.top("server")
	if c.Stdio != nil {
		server.block("stdio")
	} else {
		server.block("http").text("listen", c.HTTP.Listen)
	}
	server.whole("max_body_bytes", c.MaxBodyBytes, normal.MaxBodyBytes)
	server.whole("max_inflight", c.MaxInflight, normal.MaxInflight)
}

func (t *translation) plugins(b body) {
	store := b.top("plugin", "store", "sqlite")
	store.text("command", "store-sqlite")
	settings := store.block("config")
	settings.text("path", t.inDataDir(database))
	if t.busyTimeout != 0 {
		settings.text("busy_timeout", t.busyTimeout.String())
	}
	runpacks := b.top("plugin", "runpack", "fs")
	runpacks.text("command", "runpack-fs")
	runpacks.block("config").text("path", t.inDataDir(bundles))
	b.top("runpack").texts("dirs", t.cfg.Runpack.Dirs)
}

// What lies in the data folder. Both are made by their plugins.
const (
	database = "gate.db"
	bundles  = "bundles"
)

func (t *translation) providerBlocks(b body) {
	evidence := func(name string, policy config.EvidencePolicy) body {
		block := b.top("evidence", name)
		block.flag("allow_raw", policy.AllowRaw, false)
		return block
	}
	if e := t.cfg.Evidence.Time; e != nil {
		evidence("time", e.EvidencePolicy).flag("allow_logical", e.AllowLogical, true)
	}
	if e := t.cfg.Evidence.Env; e != nil {
		block := evidence("env", e.EvidencePolicy)
		block.texts("allow", e.Allow)
		if len(e.Deny) > 0 {
			block.texts("deny", e.Deny)
		}
		block.whole("max_value_bytes", e.MaxValueBytes, 65536)
		block.whole("max_key_bytes", e.MaxKeyBytes, 255)
		if e.Values != nil {
			values := map[string]cty.Value{}
			for name, text := range e.Values {
				values[name] = cty.StringVal(text)
			}
			block.SetAttributeValue("values", cty.ObjectVal(values))
		}
	}
	if e := t.cfg.Evidence.JSON; e != nil {
		block := evidence("json", e.EvidencePolicy)
		block.text("root", e.Root)
		block.text("root_id", e.RootID)
		block.whole("max_bytes", e.MaxBytes, 1<<20)
		block.flag("allow_yaml", e.AllowYAML, true)
	}
	if e := t.cfg.Evidence.HTTP; e != nil {
		block := evidence("http", e.EvidencePolicy)
		block.flag("allow_http", e.AllowHTTP, false)
		if e.Timeout != 5*time.Second {
			block.text("timeout", e.Timeout.String())
		}
		block.whole("max_response_bytes", e.MaxResponseBytes, 1<<20)
		block.texts("allowed_hosts", e.AllowedHosts)
		if e.UserAgent != "decision-gate/0.1" {
			block.text("user_agent", e.UserAgent)
		}
		var ranges []string
		for _, prefix := range e.AllowPrivate {
			ranges = append(ranges, prefix.String())
		}
		block.texts("allow_private", ranges)
	}
}

func (t *translation) policies(b body) {
	c, normal := t.cfg, config.Default()
	if c.Trust != normal.Trust {
		b.top("trust").text("min_lane", c.Trust.MinLane)
	}
	if c.Disclosure != normal.Disclosure {
		block := b.top("disclosure")
		block.flag("raw_values", c.Disclosure.RawValues, normal.Disclosure.RawValues)
		block.flag("require_provider_opt_in", c.Disclosure.RequireProviderOptIn, normal.Disclosure.RequireProviderOptIn)
	}
	if c.Namespace.AllowDefault || len(c.Namespace.DefaultTenants) > 0 {
		block := b.top("namespace")
		block.flag("allow_default", c.Namespace.AllowDefault, false)
		var tenants []cty.Value
		for _, tenant := range c.Namespace.DefaultTenants {
			tenants = append(tenants, cty.NumberUIntVal(tenant))
		}
		block.SetAttributeValue("default_tenants", cty.TupleVal(tenants))
	}
	if c.Validation != normal.Validation {
		block := b.top("validation")
		block.flag("strict", c.Validation.Strict, true)
		block.flag("allow_permissive", c.Validation.AllowPermissive, false)
		block.flag("lexicographic", c.Validation.Lexicographic, false)
		block.flag("deep_equals", c.Validation.DeepEquals, false)
	}
	for _, a := range c.Anchors {
		block := b.top("anchors", a.Provider)
		block.text("type", a.Type)
		block.texts("required_fields", a.RequiredFields)
	}
	if c.Schemas != normal.Schemas {
		block := b.top("schemas")
		block.whole("max_schema_bytes", c.Schemas.MaxSchemaBytes, normal.Schemas.MaxSchemaBytes)
		block.whole("max_entries", c.Schemas.MaxEntries, normal.Schemas.MaxEntries)
	}
}

func (t *translation) shown(b body) {
	c, normal := t.cfg, config.Default()
	if !reflect.DeepEqual(c.Discovery, normal.Discovery) {
		block := b.top("discovery")
		block.texts("allow", c.Discovery.Allow)
		block.texts("deny", c.Discovery.Deny)
		block.whole("max_response_bytes", c.Discovery.MaxResponseBytes, normal.Discovery.MaxResponseBytes)
	}
	if d := c.Docs; !reflect.DeepEqual(d, normal.Docs) {
		block := b.top("docs")
		block.flag("search", d.Search, true)
		block.flag("resources", d.Resources, true)
		block.flag("own", d.Own, true)
		block.texts("extra_paths", d.ExtraPaths)
		block.whole("max_doc_bytes", d.MaxDocBytes, normal.Docs.MaxDocBytes)
		block.whole("max_total_bytes", d.MaxTotalBytes, normal.Docs.MaxTotalBytes)
		block.whole("max_docs", d.MaxDocs, normal.Docs.MaxDocs)
		block.whole("max_sections", d.MaxSections, normal.Docs.MaxSections)
	}
}

// body writes into a block, or the file.
type body struct{ *hclwrite.Body }

// top appends a block of the file itself, after an empty line.
func (b body) top(kind string, labels ...string) body {
	b.AppendNewline()
	return b.block(kind, labels...)
}

func (b body) block(kind string, labels ...string) body {
	return body{b.AppendNewBlock(kind, labels).Body()}
}

func (b body) text(name, v string) { b.SetAttributeValue(name, cty.StringVal(v)) }

func (b body) flag(name string, v, normal bool) {
	if v != normal {
		b.SetAttributeValue(name, cty.BoolVal(v))
	}
}

func (b body) whole(name string, v, normal int64) {
	if v != normal {
		b.SetAttributeValue(name, cty.NumberIntVal(v))
	}
}

// texts keeps an empty list apart from an absent one, which often means the opposite.
func (b body) texts(name string, v []string) {
	if v == nil {
		return
	}
	list := make([]cty.Value, len(v))
	for i, text := range v {
		list[i] = cty.StringVal(text)
	}
	b.SetAttributeValue(name, cty.TupleVal(list))
}

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
