package config

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// Plugin is a backend process.
type Plugin struct {
	Kind string `label:"kind" help:"store, runpack, evidence or auth."`
	Name string `label:"name" help:"Name of the plugin in logs and status, and the provider id of an evidence plugin: 1 to 63 of a-z, 0-9, _ and -."`

	Command        Command       `hcl:"command" required:"true" help:"Program, with its arguments when a list. Without a slash it is looked up in plugin_dir, then as an interpreter in the system's folders; with one it is relative to the file."`
	Env            []string      `hcl:"env" max:"64" help:"Names of variables that the plugin gets from the host's environment; it gets nothing else."`
	SHA256         string        `hcl:"sha256" help:"SHA-256 of the program, in hexadecimal; the lock file's when absent."`
	SignedBy       []string      `hcl:"signed_by" max:"16" help:"Keys of plugin_signatures that may have signed the program, which must have a signature then; any of them when absent."`
	StartTimeout   time.Duration `hcl:"start_timeout" default:"10s" min:"100ms" max:"5m" help:"Time to start and shake hands."`
	HealthInterval time.Duration `hcl:"health_interval" default:"5s" min:"50ms" max:"10m" help:"Time between two health checks."`

	Deadlines *Deadlines `block:"deadlines" help:"How long the host waits for the plugin, for each kind of call. A call that takes longer has failed; for those of a store and a runpack plugin the time is that with waiting for a restart and with further tries."`
	Restart   *Restart   `block:"restart" help:"How a process that is lost is replaced."`

	// Sandbox is nil for a plugin that may do whatever the host's user may.
	Sandbox *Sandbox `block:"sandbox" help:"What the plugin may do; without the block, whatever the user of the host may. Nothing but its own program and libraries unless it is listed."`

	Config Body `block:"config" help:"Settings of the plugin itself; its manifest says which."`

	// Dir is the working directory of the process: the folder of the configuration file, so that relative paths in the
	// plugin's own settings are relative to the file too.
	Dir string
}

// Deadlines are the longest waits for a plugin. Zero is the default.
type Deadlines struct {
	Configure    time.Duration `hcl:"configure" default:"10s" min:"100ms" max:"10m" help:"Time to take its settings, with opening and migrating what they name, and to become ready in a reload."`
	Health       time.Duration `hcl:"health" default:"2s" min:"10ms" max:"1m" help:"Time to answer a health check; after two that are not answered the process is killed."`
	Read         time.Duration `hcl:"read" default:"5s" min:"10ms" max:"5m" help:"Time for reading records from a store."`
	Write        time.Duration `hcl:"write" default:"10s" min:"10ms" max:"5m" help:"Time for a commit, or for beginning a bundle; giving up leaves the outcome unknown."`
	Silence      time.Duration `hcl:"silence" default:"10s" min:"10ms" max:"5m" help:"Longest silence within a stream: a page of a scan, a chunk of a file."`
	Bundle       time.Duration `hcl:"bundle" default:"1m" min:"100ms" max:"1h" help:"Time for finishing, aborting or removing a whole bundle."`
	Query        time.Duration `hcl:"query" default:"30s" min:"10ms" max:"5m" help:"Time for a question to an evidence plugin; a condition that has less decides."`
	Authenticate time.Duration `hcl:"authenticate" default:"5s" min:"10ms" max:"1m" help:"Time for judging a token, by an auth plugin; a caller whose token takes longer is refused."`
	Drain        time.Duration `hcl:"drain" default:"10s" min:"10ms" max:"10m" help:"Time for the calls in flight when the host stops."`
	Shutdown     time.Duration `hcl:"shutdown" default:"5s" min:"10ms" max:"5m" help:"Time to close its backend; then the process is killed."`
}

// Restart is how a process that is lost is replaced. Zero is the default.
type Restart struct {
	Pause  time.Duration `hcl:"pause" default:"100ms" min:"1ms" max:"1m" help:"Pause before the first restart; it doubles with each one in the window, and half of it is added or taken by chance."`
	Budget int64         `hcl:"budget" default:"5" min:"1" max:"20" unit:"restarts" help:"Restarts in a window that are made so; with more the plugin is degraded and its calls fail at once."`
	Window time.Duration `hcl:"window" default:"1m" min:"1s" max:"24h" help:"Length of the window."`
	Slow   time.Duration `hcl:"slow" default:"15s" min:"10ms" max:"1h" help:"Pause between two tries once the budget is spent."`
}

// Command is a program and its arguments.
type Command []string

// ID names the plugin in messages.
func (p *Plugin) ID() string { return fmt.Sprintf("%s %q", p.Kind, p.Name) }

// Body is the settings of a plugin, either as they stand in the file or as a Go program gives them.
type Body struct {
	// JSON is one object, for a configuration that was built in Go.
	JSON json.RawMessage

	body   hcl.Body
	eval   *hcl.EvalContext
	origin origin
	at     hcl.Range
	absent bool // there is no config block, at is the plugin block
}

// String and GoString keep settings, some of which are secret, out of logs.
func (Body) String() string { return "(plugin settings)" }

// GoString is String.
func (b Body) GoString() string { return b.String() }

// ConfigJSON evaluates the plugin's settings to the JSON object that the plugin is configured with. With a schema every
// mistake is reported with its line; without one (no lock file) the settings are evaluated as they are and the plugin
// itself refuses what it does not know. Values are never part of an error when they are secret. Settings that a Go
// program gave are handed over as they are.
func (p *Plugin) ConfigJSON(schema *sdk.ConfigSchema) ([]byte, error) {
	if p.Config.body == nil {
		if len(p.Config.JSON) > 0 {
			return p.Config.JSON, nil
		}
		return []byte("{}"), nil
	}
	e := &settings{eval: p.Config.eval, at: p.Config.at, absent: p.Config.absent, id: p.ID()}
	var value any
	if schema != nil {
		value = e.typed(p.Config.body, *schema)
	} else {
		value = e.untyped(p.Config.body)
	}
	if err := asError(e.diags, p.Config.origin.files); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// settings evaluates the settings of one plugin.
type settings struct {
	id   string
	eval *hcl.EvalContext
	at   hcl.Range
	// absent says that the plugin has no config block; at is the plugin block then.
	absent bool
	diags  hcl.Diagnostics
}

func (e *settings) typed(body hcl.Body, schema sdk.ConfigSchema) map[string]any {
	content, diags := body.Content(bodySchema(schema))
	missing := body.MissingItemRange()
	if e.absent {
		// Without a config block, what is missing is missing in the plugin block.
		missing = e.at
		for _, d := range diags {
			d.Subject = nil
			if missing.Filename != "" {
				d.Subject = &missing
			}
			d.Detail = fmt.Sprintf("Plugin %s needs a config block: %s", e.id, d.Detail)
		}
	}
	e.diags = e.diags.Extend(diags)
	out := map[string]any{}
	if content == nil {
		return out
	}
	for _, attribute := range schema.Attributes {
		if attr, ok := content.Attributes[attribute.Name]; ok {
			e.attribute(out, attr, attribute)
		}
	}
	for _, block := range schema.Blocks {
		e.block(out, content.Blocks.OfType(block.Name), missing, block)
	}
	return out
}

func bodySchema(schema sdk.ConfigSchema) *hcl.BodySchema {
	out := &hcl.BodySchema{}
	for _, a := range schema.Attributes {
		out.Attributes = append(out.Attributes, hcl.AttributeSchema{Name: a.Name, Required: a.Required})
	}
	for _, b := range schema.Blocks {
		out.Blocks = append(out.Blocks, hcl.BlockHeaderSchema{Type: b.Name})
	}
	return out
}

func (e *settings) block(out map[string]any, blocks hcl.Blocks, missing hcl.Range, schema sdk.Block) {
	switch {
	case len(blocks) == 0 && schema.Required:
		e.diags = e.diags.Append(problem(missing, "Missing block", "Plugin %s needs a block %s here. %s", e.id, schema.Name, schema.Help))
	case len(blocks) > 1 && !schema.Repeated:
		e.diags = e.diags.Append(problem(blocks[1].DefRange, "Duplicate block", "The block %s was already declared at %s. Remove one of the two.", schema.Name, at(blocks[0].DefRange)))
	}
	var all []any
	for _, block := range blocks {
		all = append(all, e.typed(block.Body, schema.Body))
	}
	switch {
	case len(all) == 0:
	case schema.Repeated:
		out[schema.Name] = all
	default:
		out[schema.Name] = all[0]
	}
}

func (e *settings) attribute(out map[string]any, attr *hcl.Attribute, schema sdk.Attribute) {
	value, hidden, diags := evaluate(attr.Expr, e.eval)
	if schema.Secret {
		diags = withoutSource(diags)
	}
	e.diags = e.diags.Extend(diags)
	if diags.HasErrors() {
		return
	}
	if value.IsNull() {
		if schema.Required {
			e.refuse(attr, schema, "%s must have a value; this is null", attr.Name)
		}
		return
	}
	result, err := convertSetting(value, hidden, schema)
	if err != nil {
		e.refuse(attr, schema, "%s %s", attr.Name, err)
		return
	}
	out[attr.Name] = result
}

// refuse reports an attribute. The line of a secret is not quoted: its value may stand there.
func (e *settings) refuse(attr *hcl.Attribute, schema sdk.Attribute, format string, args ...any) {
	d := problem(attr.Expr.Range(), "Wrong value for "+attr.Name, "Plugin %s: %s.%s", e.id, fmt.Sprintf(format, args...), help(schema))
	if schema.Secret {
		d.Extra = hideSource{}
	}
	e.diags = e.diags.Append(d)
}

func help(schema sdk.Attribute) string {
	if schema.Help == "" {
		return ""
	}
	return " " + schema.Name + ": " + schema.Help
}

func withoutSource(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		d.Extra = hideSource{}
	}
	return diags
}

// convertSetting is a setting as JSON holds it, or what its schema says against it.
func convertSetting(value cty.Value, hidden bool, schema sdk.Attribute) (any, error) {
	var (
		out any
		err error
	)
	names := map[sdk.AttributeType]string{
		sdk.String: "a string", sdk.Integer: "a whole number", sdk.Number: "a number", sdk.Bool: "true or false",
		sdk.StringList: "a list of strings", sdk.Duration: "a duration",
	}
	switch schema.Type {
	case sdk.String:
		out, err = asText(value)
	case sdk.Bool:
		out, err = asBool(value, hidden)
	case sdk.StringList:
		out, err = asList(value, asText)
	case sdk.Duration:
		if _, err = asDuration(value, hidden || schema.Secret); err == nil {
			out = value.AsString()
		}
	case sdk.Integer:
		var n int64
		n, err = asInteger(value, hidden)
		out = n
	case sdk.Number:
		var n *big.Float
		if n, err = asNumber(value, hidden); err == nil {
			out, err = jsonNumber(n)
		}
	default:
		return nil, fmt.Errorf("has the type %q, which this host does not know; use a newer host", schema.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("must be %s; %w", names[schema.Type], err)
	}
	return out, inBounds(out, hidden || schema.Secret, schema)
}

// jsonNumber is a number as JSON text. One beyond float64 is refused: its text could be as long as its exponent says.
func jsonNumber(n *big.Float) (json.Number, error) {
	if f, _ := n.Float64(); f > 1e308 || f < -1e308 {
		return "", fmt.Errorf("this number is too large")
	}
	return json.Number(n.Text('g', 40)), nil
}

func inBounds(value any, hidden bool, schema sdk.Attribute) error {
	texts, isList := value.([]string)
	if text, ok := value.(string); ok {
		texts = []string{text}
	}
	if len(schema.OneOf) > 0 && (isList || len(texts) > 0) {
		return oneOf(texts, hidden, schema.OneOf)
	}
	below, above := compareBound(value, schema.Minimum, schema.Type), compareBound(value, schema.Maximum, schema.Type)
	if below >= 0 && above <= 0 {
		return nil
	}
	switch {
	case schema.Minimum != "" && schema.Maximum != "":
		return fmt.Errorf("must be %s to %s", schema.Minimum, schema.Maximum)
	case schema.Minimum != "":
		return fmt.Errorf("must be at least %s", schema.Minimum)
	default:
		return fmt.Errorf("must be at most %s", schema.Maximum)
	}
}

func oneOf(texts []string, hidden bool, allowed []string) error {
	for _, text := range texts {
		if slices.Contains(allowed, text) {
			continue
		}
		hint := ""
		if !hidden {
			hint = strings.TrimSuffix(suggestion(text, allowed), "?")
		}
		return fmt.Errorf("must be one of %s; this is %s.%s", strings.Join(allowed, ", "), shown(text, hidden), hint)
	}
	return nil
}

// compareBound compares with a bound of the manifest: 0 when there is none or when it is not understood, which is the
// plugin's mistake and which the plugin will judge itself.
func compareBound(value any, bound string, kind sdk.AttributeType) int {
	if bound == "" {
		return 0
	}
	if kind == sdk.Duration {
		have, _ := time.ParseDuration(fmt.Sprint(value))
		limit, err := time.ParseDuration(bound)
		if err != nil {
			return 0
		}
		return int(min(1, max(-1, have-limit)))
	}
	if kind != sdk.Integer && kind != sdk.Number {
		return 0
	}
	have, ok := new(big.Float).SetString(fmt.Sprint(value))
	limit, limitOK := new(big.Float).SetString(bound)
	if !ok || !limitOK {
		return 0
	}
	return have.Cmp(limit)
}

// untyped evaluates settings without knowing them. Their lines are never quoted: any of them may hold a secret.
func (e *settings) untyped(body hcl.Body) map[string]any {
	out := map[string]any{}
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		return out
	}
	for name, attr := range native.Attributes {
		value, _, diags := evaluate(attr.Expr, e.eval)
		e.diags = e.diags.Extend(withoutSource(diags))
		if diags.HasErrors() || value.IsNull() {
			continue
		}
		text, err := ctyjson.Marshal(value, value.Type())
		if err != nil {
			e.diags = e.diags.Append(problem(attr.Expr.Range(), "Value cannot be handed to the plugin", "Write a string, number, bool, list or object."))
			continue
		}
		out[name] = json.RawMessage(text)
	}
	for _, block := range native.Blocks {
		e.untypedBlock(out, block)
	}
	return out
}

// untypedBlock keeps a block that is there once as an object and makes an array of one that is repeated, which is what
// the manifest would most likely say.
func (e *settings) untypedBlock(out map[string]any, block *hclsyntax.Block) {
	if len(block.Labels) > 0 {
		e.diags = e.diags.Append(problem(block.LabelRanges[0], "Extraneous label", "Blocks of a plugin's settings have no labels."))
		return
	}
	value := e.untyped(block.Body)
	switch earlier := out[block.Type].(type) {
	case nil:
		out[block.Type] = value
	case []any:
		out[block.Type] = append(earlier, value)
	case map[string]any:
		out[block.Type] = []any{earlier, value}
	default:
		e.diags = e.diags.Append(problem(block.DefRange(), "Name used twice", "%s is an attribute and a block here. Remove one of the two.", block.Type))
	}
}
