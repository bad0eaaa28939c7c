package config

import (
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// evaluate is the value of an expression without marks, and whether any part of it came from env() or file().
func evaluate(expr hcl.Expression, eval *hcl.EvalContext) (cty.Value, bool, hcl.Diagnostics) {
	value, diags := expr.Value(eval)
	if diags.HasErrors() {
		return cty.NilVal, false, diags
	}
	value, marks := value.UnmarkDeep()
	if !value.IsWhollyKnown() {
		return cty.NilVal, false, diags.Append(problem(expr.Range(), "Value is not known", "Write a value that does not depend on anything but env() and file()."))
	}
	return value, len(marks) > 0, diags
}

// assign sets a Go value from an HCL one. Only a text from env() or file() is converted: anything else has a type of its
// own, and a number in quotes is more often a mistake than a wish.
func assign(dst any, value cty.Value, convertible bool) error {
	var err error
	switch dst := dst.(type) {
	case *string:
		*dst, err = asText(value)
	case *bool:
		*dst, err = asBool(value, convertible)
	case *int64:
		*dst, err = asInteger(value, convertible)
	case *uint64:
		*dst, err = asUnsigned(value, convertible)
	case *time.Duration:
		*dst, err = asDuration(value, convertible)
	case *Bytes:
		*dst, err = asBytes(value, convertible)
	case *[]string:
		*dst, err = asList(value, asText)
	case *[]uint64:
		*dst, err = asList(value, func(item cty.Value) (uint64, error) { return asUnsigned(item, false) })
	case *[]netip.Prefix:
		*dst, err = asList(value, asPrefix)
	case *map[string]string:
		*dst, err = asTextMap(value)
	case *Command:
		if value.Type() == cty.String {
			*dst = Command{value.AsString()}
			return nil
		}
		*dst, err = asList(value, asText)
	default:
		return fmt.Errorf("the host cannot set a %T", dst)
	}
	return err
}

func wrongType(value cty.Value) error {
	switch t := value.Type(); {
	case value.IsNull():
		return typeError("this is null")
	case t.IsPrimitiveType():
		return typeError("this is a " + t.FriendlyName())
	case t.IsObjectType() || t.IsMapType():
		return typeError("this is an object")
	default:
		return typeError("this is a list")
	}
}

func asText(value cty.Value) (string, error) {
	if value.IsNull() || value.Type() != cty.String {
		return "", wrongType(value)
	}
	return value.AsString(), nil
}

func asBool(value cty.Value, convertible bool) (bool, error) {
	if value.Type() == cty.Bool {
		return value.True(), nil
	}
	if convertible && value.Type() == cty.String {
		switch value.AsString() {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf(`the text is neither "true" nor "false"`)
	}
	return false, wrongType(value)
}

func asInteger(value cty.Value, convertible bool) (int64, error) {
	number, err := asNumber(value, convertible)
	if err != nil {
		return 0, err
	}
	n, accuracy := number.Int64()
	if accuracy != big.Exact {
		return 0, fmt.Errorf("this number has a fraction or is beyond 64 bits")
	}
	return n, nil
}

func asUnsigned(value cty.Value, convertible bool) (uint64, error) {
	number, err := asNumber(value, convertible)
	if err != nil {
		return 0, err
	}
	n, accuracy := number.Uint64()
	if accuracy != big.Exact {
		return 0, fmt.Errorf("this number is negative, has a fraction or is beyond 64 bits")
	}
	return n, nil
}

func asNumber(value cty.Value, convertible bool) (*big.Float, error) {
	if value.IsNull() {
		return nil, wrongType(value)
	}
	if convertible && value.Type() == cty.String {
		parsed, err := cty.ParseNumberVal(value.AsString())
		if err != nil {
			return nil, fmt.Errorf("the text is not a number")
		}
		value = parsed
	}
	if value.Type() != cty.Number {
		return nil, wrongType(value)
	}
	return value.AsBigFloat(), nil
}

func asDuration(value cty.Value, hidden bool) (time.Duration, error) {
	const hint = `write a number and a unit, such as "250ms", "5s" or "1h"`
	text, err := asText(value)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, hint)
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s is none: %s", shown(text, hidden), hint)
	}
	return duration, nil
}

// shown is a value as a diagnostic may name it.
func shown(text string, hidden bool) string {
	if hidden {
		return "the value (hidden, it comes from env() or file())"
	}
	return fmt.Sprintf("%q", text)
}

func asPrefix(value cty.Value) (netip.Prefix, error) {
	text, err := asText(value)
	if err != nil {
		return netip.Prefix{}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf(`it is no address range such as "127.0.0.0/8" or "fd00::/8"`)
	}
	return prefix.Masked(), nil
}

// asList keeps an empty list apart from an absent one: it is never nil.
func asList[T any](value cty.Value, item func(cty.Value) (T, error)) ([]T, error) {
	t := value.Type()
	if value.IsNull() || (!t.IsTupleType() && !t.IsListType() && !t.IsSetType()) {
		return nil, wrongType(value)
	}
	out := make([]T, 0, value.LengthInt())
	for i, element := range value.AsValueSlice() {
		v, err := item(element)
		if err != nil {
			return nil, fmt.Errorf("item %d is wrong: %w", i+1, err)
		}
		out = append(out, v)
	}
	return out, nil
}

func asTextMap(value cty.Value) (map[string]string, error) {
	t := value.Type()
	if value.IsNull() || (!t.IsObjectType() && !t.IsMapType()) {
		return nil, wrongType(value)
	}
	out := make(map[string]string, value.LengthInt())
	for it := value.ElementIterator(); it.Next(); {
		k, v := it.Element()
		text, err := asText(v)
		if err != nil {
			return nil, fmt.Errorf("member %q is wrong: %w", k.AsString(), err)
		}
		out[k.AsString()] = text
	}
	return out, nil
}
