package gate

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Compare is the outcome of a comparator on an evidence value, nil when there is none, and what is expected (contract §4.2).
func (c Comparator) Compare(value *EvidenceValue, expected *canonical.Value) Truth {
	switch {
	case c == Exists:
		return Of(value != nil)
	case c == NotExists:
		return Of(value == nil)
	case value == nil || expected == nil:
		// Without an answer, or without anything to compare it with, nothing is known ([P-03]).
		return Unknown
	case value.Kind == BytesValue:
		return c.compareBytes(value.Bytes, *expected)
	default:
		return c.compareJSON(value.JSON, *expected)
	}
}

// compareJSON is the table of contract §4.3.
func (c Comparator) compareJSON(e, x canonical.Value) Truth {
	switch c {
	case Equals:
		return Of(looselyEqual(e, x))
	case NotEquals:
		return Of(!looselyEqual(e, x))
	case GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual:
		order, ok := compareOrdered(e, x)
		return c.ordered(order, ok)
	case LexGreaterThan, LexGreaterOrEqual, LexLessThan, LexLessOrEqual:
		order, ok := compareLexically(e, x)
		return c.ordered(order, ok)
	case Contains:
		return contains(e, x)
	case InSet:
		return inSet(e, x)
	case DeepEquals:
		return deepEqual(e, x)
	case DeepNotEquals:
		return deepEqual(e, x).Not()
	default:
		return Unknown
	}
}

// looselyEqual compares numbers as decimals, at the top level only; everything below, and everything else, structurally ([P-02]).
func looselyEqual(e, x canonical.Value) bool {
	if e.IsNumber() && x.IsNumber() {
		return canonical.CompareDecimal(e, x) == 0
	}
	return canonical.Equal(e, x)
}

func (c Comparator) ordered(order int, ok bool) Truth {
	if !ok {
		return Unknown
	}
	switch c {
	case GreaterThan, LexGreaterThan:
		return Of(order > 0)
	case GreaterThanOrEqual, LexGreaterOrEqual:
		return Of(order >= 0)
	case LessThan, LexLessThan:
		return Of(order < 0)
	default:
		return Of(order <= 0)
	}
}

// compareOrdered orders two numbers, or two strings that are times of the same sort.
func compareOrdered(e, x canonical.Value) (order int, ok bool) {
	if e.IsNumber() && x.IsNumber() {
		return canonical.CompareDecimal(e, x), true
	}
	es, ok1 := e.Text()
	xs, ok2 := x.Text()
	if !ok1 || !ok2 {
		return 0, false
	}
	return compareTemporal(es, xs)
}

func compareLexically(e, x canonical.Value) (order int, ok bool) {
	es, ok1 := e.Text()
	xs, ok2 := x.Text()
	// Go compares strings by their UTF-8 bytes, as the contract does (§4.7).
	return cmp.Compare(es, xs), ok1 && ok2
}

func contains(e, x canonical.Value) Truth {
	es, ok1 := e.Text()
	xs, ok2 := x.Text()
	if ok1 && ok2 {
		return Of(strings.Contains(es, xs))
	}
	if e.Kind() != canonical.Array || x.Kind() != canonical.Array {
		return Unknown
	}
	if len(e.Items())*len(x.Items()) > maxPairs {
		return containsMany(e.Items(), x.Items())
	}
	for _, want := range x.Items() {
		if !member(e.Items(), want) {
			return False
		}
	}
	return True
}

// maxPairs is how many pairs of elements are compared one by one.
const maxPairs = 1024

// containsMany finds by an index. Two arrays of half a million numbers, which fit into an answer and a scenario, would
// otherwise hold a processor for minutes.
func containsMany(items, wanted []canonical.Value) Truth {
	index := make(map[string]bool, len(items))
	for _, item := range items {
		index[canonical.Identity(item)] = true
	}
	for _, want := range wanted {
		if !index[canonical.Identity(want)] {
			return False
		}
	}
	return True
}

func inSet(e, x canonical.Value) Truth {
	if x.Kind() != canonical.Array || e.Kind() == canonical.Array || e.Kind() == canonical.Object {
		return Unknown
	}
	return Of(member(x.Items(), e))
}

func member(items []canonical.Value, v canonical.Value) bool {
	for _, item := range items {
		if canonical.Equal(item, v) {
			return true
		}
	}
	return false
}

func deepEqual(e, x canonical.Value) Truth {
	if e.Kind() != x.Kind() || e.Kind() != canonical.Array && e.Kind() != canonical.Object {
		return Unknown
	}
	return Of(canonical.Equal(e, x))
}

// compareBytes is contract §4.4: what is expected is an array of integers 0 to 255.
func (c Comparator) compareBytes(e []byte, expected canonical.Value) Truth {
	if expected.Kind() != canonical.Array {
		return Unknown
	}
	x := make([]byte, len(expected.Items()))
	for i, item := range expected.Items() {
		n, ok := item.Uint()
		if !ok || n > 255 {
			return Unknown
		}
		x[i] = byte(n)
	}
	switch c {
	case Equals:
		return Of(bytes.Equal(e, x))
	case NotEquals:
		return Of(!bytes.Equal(e, x))
	default:
		return Unknown
	}
}
