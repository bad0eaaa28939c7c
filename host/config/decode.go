package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// place is where a value of the configuration was written.
type place struct {
	at hcl.Range
	// hidden values came from env() or file(), or are secret wherever they come from.
	hidden bool
	// secret values must not be shown with their line.
	secret bool
}

// decoder fills the configuration's types from HCL. It knows nothing of the single settings: the tags say it all.
type decoder struct {
	dir    string
	eval   *hcl.EvalContext
	diags  hcl.Diagnostics
	places map[any]place // by pointer to the field or block
	files  sources
}

func (d *decoder) problem(at hcl.Range, summary, format string, args ...any) {
	d.diags = d.diags.Append(problem(at, summary, format, args...))
}

// block fills a block's struct from its body. Unknown names are errors; HCL suggests near ones.
func (d *decoder) block(body hcl.Body, dst reflect.Value) {
	t := dst.Type()
	foldLabels(body, t)
	content, diags := body.Content(schemaOf(t))
	d.diags = d.diags.Extend(d.elsewhere(diags, t))
	if content == nil {
		return
	}
	for _, f := range attributesOf(t) {
		if attr, ok := content.Attributes[f.Tag.Get("hcl")]; ok {
			d.attribute(attr, f, dst.FieldByIndex(f.Index))
		}
	}
	for _, f := range blocksOf(t) {
		blocks := content.Blocks.OfType(f.Tag.Get("block"))
		field := dst.FieldByIndex(f.Index)
		switch {
		case field.Kind() == reflect.Slice:
			d.repeated(blocks, field, f.Tag.Get("repeats") != "")
		case len(tagged(f.Type, "name")) > 0:
			d.named(blocks, field)
		default:
			d.single(blocks, field)
		}
	}
}

// labelSeparator is between two labels that were made one.
const labelSeparator = "\x00"

// foldLabels makes one label of the two of blocks such as evidence "mcp" "ci": HCL wants all blocks of a type to have the same
// number, and the other kinds of evidence have one.
func foldLabels(body hcl.Body, t reflect.Type) {
	syntax, ok := body.(*hclsyntax.Body)
	if !ok {
		return
	}
	for _, f := range blocksOf(t) {
		for _, m := range tagged(structOf(f.Type), "name") {
			if m.Type.Kind() != reflect.Slice {
				continue
			}
			for _, block := range syntax.Blocks {
				if block.Type == f.Tag.Get("block") && len(block.Labels) == 2 && block.Labels[0] == m.Tag.Get("name") {
					block.Labels = []string{strings.Join(block.Labels, labelSeparator)}
					block.LabelRanges = block.LabelRanges[:1]
				}
			}
		}
	}
}

func schemaOf(t reflect.Type) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, f := range attributesOf(t) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.Tag.Get("hcl"), Required: f.Tag.Get("required") != ""})
	}
	for _, f := range blocksOf(t) {
		header := hcl.BlockHeaderSchema{Type: f.Tag.Get("block")}
		inner := structOf(f.Type)
		for _, label := range tagged(inner, "label") {
			header.LabelNames = append(header.LabelNames, label.Tag.Get("label"))
		}
		if len(tagged(inner, "name")) > 0 {
			header.LabelNames = []string{"provider"}
		}
		schema.Blocks = append(schema.Blocks, header)
	}
	return schema
}

// single fills a block that may be there once.
func (d *decoder) single(blocks hcl.Blocks, field reflect.Value) {
	if len(blocks) == 0 {
		return
	}
	for _, again := range blocks[1:] {
		d.duplicate(again, blocks[0])
	}
	d.fill(blocks[0], field)
}

// fill decodes one block into a struct or a new one for a pointer.
func (d *decoder) fill(block *hcl.Block, field reflect.Value) {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		setDefaults(field.Interface())
		field = field.Elem()
	}
	d.places[field.Addr().Interface()] = place{at: block.DefRange}
	if body, ok := field.Addr().Interface().(*Body); ok {
		*body = Body{body: block.Body, eval: d.eval, origin: origin{d.places, d.files}, at: block.DefRange}
		return
	}
	d.block(block.Body, field)
}

// repeated appends every block to a slice of pointers, in the order in which they are written; two with the same labels are
// an error unless they may repeat.
func (d *decoder) repeated(blocks hcl.Blocks, field reflect.Value, alike bool) {
	first := map[string]*hcl.Block{}
	for _, block := range blocks {
		key := strings.Join(block.Labels, "\x00")
		if earlier, ok := first[key]; ok && !alike {
			d.duplicate(block, earlier)
			continue
		}
		first[key] = block
		item := reflect.New(field.Type().Elem()).Elem()
		d.fill(block, item)
		for i, f := range tagged(item.Type().Elem(), "label") {
			item.Elem().FieldByIndex(f.Index).SetString(block.Labels[i])
		}
		field.Set(reflect.Append(field, item))
	}
}

// named fills the member that a block's label names.
func (d *decoder) named(blocks hcl.Blocks, field reflect.Value) {
	members := tagged(field.Type(), "name")
	var names []string
	for _, m := range members {
		names = append(names, m.Tag.Get("name"))
	}
	first := map[string]*hcl.Block{}
	for _, block := range blocks {
		label := block.Labels[0]
		if earlier, ok := first[label]; ok {
			d.duplicate(block, earlier)
			continue
		}
		first[label] = block
		label, id, folded := strings.Cut(label, labelSeparator)
		index := -1
		for i, name := range names {
			if name == label {
				index = i
			}
		}
		if index < 0 {
			d.problem(block.LabelRanges[0], fmt.Sprintf("Unknown %s", block.Type), "There is no %s %q.%s Known are: %s.",
				block.Type, label, suggestion(label, names), strings.Join(names, ", "))
			continue
		}
		member := field.FieldByIndex(members[index].Index)
		if member.Kind() == reflect.Slice {
			d.appendNamed(block, id, folded, member)
			continue
		}
		d.fill(block, member)
	}
}

// appendNamed appends a block with a second label to the member that the first one names.
func (d *decoder) appendNamed(block *hcl.Block, id string, folded bool, member reflect.Value) {
	if !folded {
		label := tagged(structOf(member.Type()), "label")[0].Tag.Get("label")
		d.problem(block.DefRange, fmt.Sprintf("Missing %s of %s", label, block.Type), "Write it as in: %s %q %q { ... }", block.Type, block.Labels[0], "NAME")
		return
	}
	item := reflect.New(member.Type().Elem()).Elem()
	d.fill(block, item)
	item.Elem().FieldByIndex(tagged(item.Type().Elem(), "label")[0].Index).SetString(id)
	member.Set(reflect.Append(member, item))
}

func (d *decoder) duplicate(block, earlier *hcl.Block) {
	header := block.Type
	for _, label := range block.Labels {
		header += strings.ReplaceAll(fmt.Sprintf(" %q", label), `\x00`, `" "`)
	}
	d.problem(block.DefRange, "Duplicate block", "The block %s was already declared at %s. Remove one of the two.", header, at(earlier.DefRange))
}

func at(r hcl.Range) string {
	return fmt.Sprintf("%s line %d", r.Filename, r.Start.Line)
}

// suggestion is " Did you mean ...?" for a near name, else empty.
func suggestion(given string, names []string) string {
	for _, name := range names {
		if levenshtein.Distance(given, name, nil) < 3 {
			return fmt.Sprintf(" Did you mean %q?", name)
		}
	}
	return ""
}

// attribute evaluates and converts one attribute. A null is the same as an absent one, which lets a value be switched off.
func (d *decoder) attribute(attr *hcl.Attribute, f reflect.StructField, dst reflect.Value) {
	value, hidden, diags := evaluate(attr.Expr, d.eval)
	d.diags = d.diags.Extend(diags)
	if diags.HasErrors() {
		return
	}
	rng := attr.Expr.Range()
	if value.IsNull() {
		if f.Tag.Get("required") != "" {
			d.problem(rng, "Missing required argument", "%s must have a value; this is null.", attr.Name)
		}
		return
	}
	secret := f.Tag.Get("secret") != ""
	d.places[dst.Addr().Interface()] = place{at: rng, hidden: hidden || secret, secret: secret}
	if err := assign(dst.Addr().Interface(), value, hidden); err != nil {
		// Not that of an item, which is wrapped.
		if _, direct := err.(typeError); direct {
			err = fmt.Errorf("%w%s", err, valueAdvice[dst.Type()])
		}
		diag := problem(rng, "Wrong value for "+attr.Name, "%s must be a %s; %s.", attr.Name, typeNames[f.Type], err)
		if secret {
			diag.Extra = hideSource{}
		}
		d.diags = d.diags.Append(diag)
		return
	}
	if f.Tag.Get("path") != "" {
		d.resolvePaths(dst.Addr().Interface())
	}
}

func (d *decoder) resolvePaths(dst any) {
	switch path := dst.(type) {
	case *string:
		*path = resolve(d.dir, *path)
	case *[]string:
		for i := range *path {
			(*path)[i] = resolve(d.dir, (*path)[i])
		}
	case *map[string]string:
		for name := range *path {
			(*path)[name] = resolve(d.dir, (*path)[name])
		}
	}
}
