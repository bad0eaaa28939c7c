package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// advice continues HCL's own texts, by their summary, for those who have not met HCL before.
var advice = map[string]string{
	"Variables not allowed":                 `Text is in double quotes; a variable of the environment is read with env("NAME").`,
	"Missing newline after argument":        `Text is in double quotes, durations such as "30s" among it; numbers have neither units nor underscores.`,
	"Argument or block definition required": `The file is HCL, neither TOML nor JSON: a setting is NAME = VALUE, in blocks such as server { ... }.`,
	"Missing kind for plugin":               `Write it as in: plugin "store" "main" { ... }`,
	"Missing name for plugin":               `Write it as in: plugin "store" "main" { ... }`,
	"Missing provider for evidence":         `Write it as in: evidence "env" { ... }`,
	"Extraneous label for evidence":         `Only evidence "mcp" and evidence "plugin" have a second label, the id of the provider.`,
	"Missing name for principal":            `Write it as in: principal "CN=alice" { ... }`,
	"Missing name for role":                 `Write it as in: role "TenantAdmin" { ... }`,
	"Missing effect for rule":               `Write it as in: rule "deny" { ... }`,
	"Missing provider for anchors":          `Write it as in: anchors "json" { ... }`,
}

// valueAdvice says how values are written that people write otherwise.
var valueAdvice = map[reflect.Type]string{
	reflect.TypeFor[bool]():           ": write true or false, without quotes",
	reflect.TypeFor[int64]():          ": write digits, without quotes and units",
	reflect.TypeFor[uint64]():         ": write digits, without quotes and units",
	reflect.TypeFor[[]string]():       `: write it in brackets, as in ["a", "b"]`,
	reflect.TypeFor[[]uint64]():       ": write it in brackets, as in [1, 2]",
	reflect.TypeFor[[]netip.Prefix](): `: write it in brackets, as in ["127.0.0.0/8"]`,
}

// typeError is what a value of another type is.
type typeError string

func (e typeError) Error() string { return string(e) }

// elsewhere says of a name that a block does not know where it is known, when HCL has no near name to suggest.
func (d *decoder) elsewhere(diags hcl.Diagnostics, block reflect.Type) hcl.Diagnostics {
	for _, diag := range diags {
		unknown := diag.Summary == "Unsupported argument" || diag.Summary == "Unsupported block type"
		if !unknown || diag.Subject == nil || strings.Contains(diag.Detail, "Did you mean") {
			continue
		}
		name := string(diag.Subject.SliceBytes(d.files[diag.Subject.Filename]))
		if homes := homesOf(name); len(homes) > 0 {
			diag.Detail += fmt.Sprintf(" It belongs %s.", strings.Join(homes, " or "))
		}
		if block == reflect.TypeFor[Plugin]() {
			diag.Detail += " Settings of the plugin's own belong in its config block."
		}
	}
	return diags
}

// homesOf are the places where a setting or block of a name belongs.
func homesOf(name string) (homes []string) {
	for _, row := range Reference() {
		home := row.Block
		if row.Name == "" {
			// A block: those with labels end with one, and are at the top level.
			space := strings.LastIndexByte(row.Block, ' ')
			if space < 0 || row.Block[space+1:] != name {
				continue
			}
			home = row.Block[:space]
		} else if row.Name != name {
			continue
		}
		if home == "" {
			home = "at the top level"
		} else {
			home = "in the block " + home
		}
		if !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	return homes
}
