package postgres

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// paths are made of few different bytes, so that many share a beginning.
func paths(least int) *rapid.Generator[[][]byte] {
	segment := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 8, 9, 'a', 0xFF}), 0, 20)
	return rapid.SliceOfN(segment, least, store.MaxSegments)
}

// Order and prefixes of paths are those of their encodings, or a scan would miss records.
func TestPathOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := paths(0).Draw(t, "a"), paths(0).Draw(t, "b")
		if rapid.Bool().Draw(t, "extended") {
			b = append(slices.Clone(a), b...)
		}
		x, y := appendPath(nil, a), appendPath(nil, b)
		if got, want := bytes.Compare(x, y), slices.CompareFunc(a, b, bytes.Compare); got != want {
			t.Fatalf("%x and %x compare as %d, their paths as %d", x, y, got, want)
		}
		if got, want := bytes.HasPrefix(y, x), store.HasPrefix(b, a); got != want {
			t.Fatalf("%x begins with %x: %v, the paths: %v", y, x, got, want)
		}
		if from, to := scanRange(store.Scan{Prefix: a}); (bytes.Compare(from, y) <= 0 && bytes.Compare(y, to) < 0) != store.HasPrefix(b, a) {
			t.Fatalf("%x in [%x, %x) is not whether %q begins with %q", y, from, to, b, a)
		}
		back, err := parsePath(x)
		if err != nil || !slices.EqualFunc(back, a, bytes.Equal) {
			t.Fatalf("%q comes back as %q, %v", a, back, err)
		}
	})
}

// Every key has one encoding: somebody who can write to the database cannot make two rows for one.
func TestParsePathIsStrict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		encoded := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 8, 9, 10, 'a', 0xFF}), 0, 40).Draw(t, "bytes")
		path, err := parsePath(encoded)
		if err == nil && !bytes.Equal(appendPath([]byte{}, path), encoded) {
			t.Fatalf("%x is read as %q, which is written as %x", encoded, path, appendPath(nil, path))
		}
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	})
}

// The longest path fits into an index page, of which an entry may take 2,704 bytes.
func TestLongestPathFits(t *testing.T) {
	longest := slices.Repeat([][]byte{bytes.Repeat([]byte{0}, store.MaxSegment)}, store.MaxSegments)
	if n := len(appendPath(nil, longest)); n > 2600 {
		t.Errorf("%d bytes", n)
	}
}
