package budget

import (
	"bytes"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// What a value of a document takes while it is parsed, in bytes and from above: JSON is parsed into values, in arrays that
// grow; YAML into nodes first, with their positions, tags and comments.
const (
	jsonValue = 128
	yamlValue = 640
	// copies is how often the text itself is there: as it was read, and in the strings of the values.
	copies = 3
	// expansion is what the aliases of a YAML document may add: as many values as its parser lets them, or their text.
	expansion = 4 << 20 * jsonValue / 2
)

// Marks that each value of a document but the first needs one of.
const (
	jsonMarks = ",[{"
	yamlMarks = "\n,[{:-?"
)

// Meter estimates what parsing a document takes, from its bytes as they come.
type Meter struct {
	marks string
	value int64
	yaml  bool

	values, size     int64
	anchors, aliases bool
}

// JSON measures a JSON document.
func JSON() *Meter { return &Meter{marks: jsonMarks, value: jsonValue, values: 1} }

// YAML measures a YAML document.
func YAML() *Meter { return &Meter{marks: yamlMarks, value: yamlValue, values: 1, yaml: true} }

// Write takes the next bytes of the document.
func (m *Meter) Write(text []byte) (int, error) {
	for i := range len(m.marks) {
		m.values += int64(bytes.Count(text, []byte{m.marks[i]}))
	}
	m.size += int64(len(text))
	m.anchors = m.anchors || bytes.IndexByte(text, '&') >= 0
	m.aliases = m.aliases || bytes.IndexByte(text, '*') >= 0
	return len(text), nil
}

// Bytes is what parsing takes, from above.
func (m *Meter) Bytes() int64 {
	n := m.values*m.value + m.size*copies
	if m.yaml && m.anchors && m.aliases {
		n += expansion
	}
	return n
}

// Of returns the estimate for a whole document.
func (m *Meter) Of(text []byte) int64 {
	_, _ = m.Write(text)
	return m.Bytes()
}

// What is left of a document once it is parsed.
const (
	heldValue  = 40
	heldParts  = 64
	heldMember = 16 + heldValue
)

// Held is what a parsed value takes, in bytes.
func Held(v canonical.Value) int64 {
	text, _ := v.Text()
	n := int64(heldValue + len(text))
	items, members := v.Items(), v.Members()
	if len(items)+len(members) > 0 {
		n += heldParts
	}
	for _, item := range items {
		n += Held(item)
	}
	for _, m := range members {
		n += heldMember - heldValue + int64(len(m.Name)) + Held(m.Value)
	}
	return n
}
