package yaml

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv4 "go.yaml.in/yaml/v4"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// plain are the words that are no strings when they are not quoted.
var plain = map[string]canonical.Value{
	"": {}, "~": {}, "null": {}, "Null": {}, "NULL": {},
	"true": canonical.NewBool(true), "True": canonical.NewBool(true), "TRUE": canonical.NewBool(true),
	"false": canonical.NewBool(false), "False": canonical.NewBool(false), "FALSE": canonical.NewBool(false),
}

// tags read the text of a scalar by its tag. Other tags that YAML itself defines leave a string.
var tags = map[string]func(text string) (canonical.Value, bool){
	"!!int":   wholeNumber,
	"!!float": float,
	"!!bool": func(text string) (canonical.Value, bool) {
		v, ok := plain[text]
		return v, ok && v.Kind() == canonical.Bool
	},
	"!!null": func(text string) (canonical.Value, bool) {
		v, ok := plain[text]
		return v, ok && v.IsNull() && text != ""
	},
}

// quotedStyles are those whose text is a string.
const quotedStyles = yamlv4.SingleQuotedStyle | yamlv4.DoubleQuotedStyle | yamlv4.LiteralStyle | yamlv4.FoldedStyle

func scalar(node *yamlv4.Node) (canonical.Value, error) {
	if foreign(node) || !utf8.ValidString(node.Value) {
		return canonical.Value{}, tagError(node)
	}
	if tagged(node) && node.Tag != "!" {
		read, known := tags[node.Tag]
		if !known {
			return canonical.NewString(node.Value), nil
		}
		v, ok := read(node.Value)
		if !ok {
			return canonical.Value{}, tagError(node)
		}
		return v, nil
	}
	if node.Style&quotedStyles != 0 {
		return canonical.NewString(node.Value), nil
	}
	return untagged(node.Value, node)
}

func untagged(text string, node *yamlv4.Node) (canonical.Value, error) {
	if v, ok := plain[text]; ok {
		return v, nil
	}
	if v, ok := wholeNumber(text); ok {
		return v, nil
	}
	// JSON has no place for these, and a float would not be the number in the document.
	if n, ok := integer(text); ok && fits128(n) {
		return canonical.Value{}, tagError(node)
	}
	if v, ok := float(text); ok && !digitsOnly.MatchString(text) {
		return v, nil
	}
	return canonical.NewString(text), nil
}

var (
	// digitsOnly are digits after a leading zero: a string in YAML 1.2, octal in 1.1.
	digitsOnly = regexp.MustCompile(`^[+-]?0[0-9]+$`)
	integers   = regexp.MustCompile(`^([+-]?)(0x[0-9A-Fa-f]+|0o[0-7]+|0b[01]+|[0-9]+)$`)
	floats     = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// maxDigits bounds the digits of an integer that are looked at: 2^128 has 128 of them in base 2. Reading a megabyte of
// digits takes quadratic time.
const maxDigits = 160

// integer reads an integer of any size up to maxDigits.
func integer(text string) (*big.Int, bool) {
	match := integers.FindStringSubmatch(text)
	if match == nil || digitsOnly.MatchString(text) || len(strings.TrimLeft(match[2], "0")) > maxDigits {
		return nil, false
	}
	n, ok := new(big.Int).SetString(match[2], 0)
	if ok && match[1] == "-" {
		n.Neg(n)
	}
	return n, ok
}

func fits128(n *big.Int) bool {
	if n.Sign() < 0 {
		return new(big.Int).Not(n).BitLen() < 128
	}
	return n.BitLen() <= 128
}

// wholeNumber reads an integer that JSON has a kind for.
func wholeNumber(text string) (canonical.Value, bool) {
	n, ok := integer(text)
	switch {
	case ok && n.IsUint64():
		return canonical.NewUint(n.Uint64()), true
	case ok && n.IsInt64():
		return canonical.NewInt(n.Int64()), true
	default:
		return canonical.Value{}, false
	}
}

// special are the floats that JSON has no literal for: they become null.
var special = map[string]bool{}

func init() {
	for _, inf := range []string{".inf", ".Inf", ".INF"} {
		special[inf], special["+"+inf], special["-"+inf] = true, true, true
	}
	for _, nan := range []string{".nan", ".NaN", ".NAN"} {
		special[nan] = true
	}
}

// float reads a float; one that overflows is none.
func float(text string) (canonical.Value, bool) {
	if special[text] {
		return canonical.Value{}, true
	}
	if !floats.MatchString(text) {
		return canonical.Value{}, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return canonical.Value{}, false
	}
	return canonical.NewFloat(f), true
}
