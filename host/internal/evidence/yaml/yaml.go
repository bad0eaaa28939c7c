// Package yaml reads a YAML document as JSON, by the rules of the json provider (contract §10.3).
//
// It follows the YAML 1.2 core schema as a gate needs it: `yes` and `017` are strings, dates are strings, merge keys are
// ordinary keys. It reads one document and refuses foreign tags, keys that are no scalars, and documents made to exhaust
// memory: aliases are expanded within a bound.
package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	yamlv4 "go.yaml.in/yaml/v4"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

const (
	// MaxDepth is the number of nested collections that a document may have, aliases expanded (contract §10.3). It also
	// ends an alias that contains itself.
	MaxDepth = 128
	// maxExpansion bounds what aliases add to a document, in bytes of text and nodes: nine lines of ten aliases each are
	// a billion values (the "billion laughs").
	maxExpansion = 4 << 20
)

// Parse reads the one document of data; an empty one is null. Of members with the same name the last wins.
func Parse(data []byte) (v canonical.Value, err error) {
	// Stops a panic of the library on hostile input from ending the process.
	defer func() {
		if p := recover(); p != nil {
			v, err = canonical.Value{}, fmt.Errorf("yaml: parser failed: %v", p)
		}
	}()
	decoder := yamlv4.NewDecoder(bytes.NewReader(acceptVersion(data)))
	var document yamlv4.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return canonical.Value{}, nil
	case err != nil:
		return canonical.Value{}, err
	}
	if err := decoder.Decode(new(yamlv4.Node)); !errors.Is(err, io.EOF) {
		return canonical.Value{}, errors.New("yaml: more than one document")
	}
	r := reader{}
	return r.value(&document, 0)
}

// version12 is a %YAML 1.2 directive among the comments and directives that a document may begin with.
var version12 = regexp.MustCompile(`\A(?:\x{FEFF})?(?:(?:[ \t]*(?:#.*)?|%.*)\r?\n)*?%YAML[ \t]+1\.2[ \t\r\n]`)

// acceptVersion lets the library read a document that says it is YAML 1.2: it knows the directive of 1.1 only, although
// it reads both alike. Nothing moves, so that lines and columns stay right.
func acceptVersion(data []byte) []byte {
	at := version12.FindIndex(data)
	if at == nil {
		return data
	}
	data = bytes.Clone(data)
	data[at[1]-2] = '1'
	return data
}

// reader turns nodes into values.
type reader struct {
	// expanding is how many aliases lead to the current node, expanded what has been read through aliases.
	expanding, expanded int
}

func (r *reader) value(node *yamlv4.Node, depth int) (canonical.Value, error) {
	if r.expanding > 0 {
		if r.expanded += 1 + len(node.Value); r.expanded > maxExpansion {
			return canonical.Value{}, fmt.Errorf("yaml: line %d: aliases expand to too much", node.Line)
		}
	}
	switch node.Kind {
	case yamlv4.DocumentNode:
		if len(node.Content) != 1 {
			return canonical.Value{}, nil
		}
		return r.value(node.Content[0], depth)
	case yamlv4.AliasNode:
		return r.alias(node, depth)
	case yamlv4.ScalarNode:
		return scalar(node)
	case yamlv4.SequenceNode, yamlv4.MappingNode:
		return r.collection(node, depth)
	default:
		return canonical.Value{}, fmt.Errorf("yaml: line %d: unknown node", node.Line)
	}
}

func (r *reader) alias(node *yamlv4.Node, depth int) (canonical.Value, error) {
	if node.Alias == nil {
		return canonical.Value{}, fmt.Errorf("yaml: line %d: unknown alias", node.Line)
	}
	r.expanding++
	v, err := r.value(node.Alias, depth)
	r.expanding--
	return v, err
}

func (r *reader) collection(node *yamlv4.Node, depth int) (canonical.Value, error) {
	if depth++; depth > MaxDepth {
		return canonical.Value{}, fmt.Errorf("yaml: line %d: nested too deep", node.Line)
	}
	if foreign(node) {
		return canonical.Value{}, tagError(node)
	}
	if node.Kind == yamlv4.SequenceNode {
		items := make([]canonical.Value, len(node.Content))
		for i, item := range node.Content {
			var err error
			if items[i], err = r.value(item, depth); err != nil {
				return canonical.Value{}, err
			}
		}
		return canonical.NewArray(items), nil
	}
	members := make([]canonical.Member, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, err := r.key(node.Content[i])
		if err != nil {
			return canonical.Value{}, err
		}
		v, err := r.value(node.Content[i+1], depth)
		if err != nil {
			return canonical.Value{}, err
		}
		members = append(members, canonical.Member{Name: name, Value: v})
	}
	return canonical.NewObject(members), nil
}

// key is the source text of a scalar, whatever its type would be.
func (r *reader) key(node *yamlv4.Node) (string, error) {
	if node.Kind == yamlv4.AliasNode && node.Alias != nil {
		if r.expanded += len(node.Alias.Value); r.expanded > maxExpansion {
			return "", fmt.Errorf("yaml: line %d: aliases expand to too much", node.Line)
		}
		node = node.Alias
	}
	if node.Kind != yamlv4.ScalarNode || !utf8.ValidString(node.Value) {
		return "", fmt.Errorf("yaml: line %d: a key must be a scalar", node.Line)
	}
	return node.Value, nil
}

// foreign reports a tag that is not YAML's own, such as !foo: nobody here knows what it means.
func foreign(node *yamlv4.Node) bool {
	return tagged(node) && !strings.HasPrefix(node.Tag, "!!") && node.Tag != "!"
}

// tagged reports a tag that stands in the document, as opposed to one that the library has guessed.
func tagged(node *yamlv4.Node) bool { return node.Style&yamlv4.TaggedStyle != 0 }

func tagError(node *yamlv4.Node) error {
	return fmt.Errorf("yaml: line %d: unknown tag or wrong value for it", node.Line)
}
