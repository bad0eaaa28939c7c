package store_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Few letters and lengths, so that keys often share beginnings; the bytes of the encoding's own marks are among them.
func drawSegment(t *rapid.T, label string) []byte {
	return rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 0x02, 'a', 0xFE, 0xFF}), 0, 4).Draw(t, label)
}

func drawPath(t *rapid.T, least int, label string) [][]byte {
	path := make([][]byte, rapid.IntRange(least, 4).Draw(t, label+" length"))
	for i := range path {
		path[i] = drawSegment(t, label)
	}
	return path
}

func drawNumber(t *rapid.T, label string) uint64 {
	return rapid.SampledFrom([]uint64{0, 1, 255, 256, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64 - 1, math.MaxUint64}).Draw(t, label)
}

func drawKey(t *rapid.T, label string) store.Key {
	return store.Key{
		Collection: rapid.SampledFrom([]string{"a", "aa", "a_", "a0", "b"}).Draw(t, label+" collection"),
		Tenant:     drawNumber(t, label+" tenant"),
		Namespace:  drawNumber(t, label+" namespace"),
		Path:       drawPath(t, 1, label+" path"),
	}
}

func TestEncodingKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawKey(t, "a"), drawKey(t, "b")
		if got, want := bytes.Compare(store.AppendKey(nil, a), store.AppendKey(nil, b)), a.Compare(b); got != want {
			t.Fatalf("the encodings of %v and %v compare as %d, the keys as %d", a, b, got, want)
		}
	})
}

func TestParseKeyReadsWhatAppendKeyWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := drawKey(t, "key")
		parsed, err := store.ParseKey(store.AppendKey(nil, key))
		if err != nil || parsed.Compare(key) != 0 {
			t.Fatalf("%v became %v, %v", key, parsed, err)
		}
	})
}

func TestPrefixRangeIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scope, key := drawKey(t, "scope"), drawKey(t, "key")
		if rapid.Bool().Draw(t, "same scope") {
			key.Collection, key.Tenant, key.Namespace = scope.Collection, scope.Tenant, scope.Namespace
		}
		prefix := drawPath(t, 0, "prefix")
		if rapid.Bool().Draw(t, "real prefix") {
			prefix = key.Path[:rapid.IntRange(0, len(key.Path)).Draw(t, "cut")]
		}
		from, to := store.PrefixRange(scope.Collection, scope.Tenant, scope.Namespace, prefix)
		encoded := store.AppendKey(nil, key)
		in := bytes.Compare(from, encoded) <= 0 && bytes.Compare(encoded, to) < 0
		want := key.Collection == scope.Collection && key.Tenant == scope.Tenant && key.Namespace == scope.Namespace && store.HasPrefix(key.Path, prefix)
		if in != want {
			t.Fatalf("%v in the range of %v with prefix %v: %v, want %v", key, scope, prefix, in, want)
		}
	})
}

// A database that was changed by hand must not make two keys of one, or one of two.
func FuzzParseKey(f *testing.F) {
	f.Add(store.AppendKey(nil, store.Key{Collection: "runs", Tenant: 1, Namespace: 2, Path: [][]byte{{}, {0}, {0xFF, 0}, []byte("run")}}))
	f.Add([]byte("runs\x00"))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		key, err := store.ParseKey(encoded)
		if err != nil {
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("%x: %v, want corrupt", encoded, err)
			}
			return
		}
		if err := key.Validate(); err != nil {
			t.Errorf("%x: %v", encoded, err)
		}
		if again := store.AppendKey(nil, key); !bytes.Equal(again, encoded) {
			t.Errorf("%x was read as %v, which is written %x", encoded, key, again)
		}
	})
}

func TestParseKeyRefuses(t *testing.T) {
	sound := store.AppendKey(nil, store.Key{Collection: "runs", Path: [][]byte{[]byte("a")}})
	for name, encoded := range map[string][]byte{
		"empty":            {},
		"no scope":         sound[:5],
		"no path":          sound[:21],
		"no end":           sound[:len(sound)-1],
		"zero at the end":  append(slices.Clone(sound), 0),
		"unknown escape":   append(slices.Clone(sound), 0, 2),
		"no collection":    sound[4:],
		"wrong collection": append([]byte("R"), sound...),
		"too many":         append(slices.Clone(sound), bytes.Repeat([]byte{0, 1}, store.MaxSegments)...),
	} {
		if key, err := store.ParseKey(encoded); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v, %v; want corrupt", name, key, err)
		}
	}
}

func TestSegment(t *testing.T) {
	long := strings.Repeat("x", store.MaxSegment+1)
	for _, id := range []string{"", "a", "a\x00b", "é", long[1:]} {
		if got := store.Segment(id); string(got) != id {
			t.Errorf("Segment(%q) = %q, want the id", id, got)
		}
	}
	hashed := store.Segment(long)
	if len(hashed) != 33 || hashed[0] != 0xFF {
		t.Errorf("Segment of a long id = %x", hashed)
	}
	// The attack: choose an id whose segment is that of somebody's long id.
	if forged := store.Segment(string(hashed)); bytes.Equal(forged, hashed) {
		t.Error("a short id takes the place of a long one")
	}
	if got := store.Uint64Segment(258); !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0, 1, 2}) {
		t.Errorf("Uint64Segment = %x", got)
	}
}

func TestKeyValidate(t *testing.T) {
	path := [][]byte{{}}
	for name, test := range map[string]struct {
		key  store.Key
		want bool
	}{
		"least":             {store.Key{Collection: "a", Path: path}, true},
		"most":              {store.Key{Collection: strings.Repeat("z", 63), Path: slices.Repeat([][]byte{make([]byte, 255)}, 8)}, true},
		"all letters":       {store.Key{Collection: "az_09", Path: path}, true},
		"no collection":     {store.Key{Path: path}, false},
		"long collection":   {store.Key{Collection: strings.Repeat("z", 64), Path: path}, false},
		"upper case":        {store.Key{Collection: "Runs", Path: path}, false},
		"SQL":               {store.Key{Collection: "runs;drop", Path: path}, false},
		"no segment":        {store.Key{Collection: "a"}, false},
		"too many segments": {store.Key{Collection: "a", Path: make([][]byte, 9)}, false},
		"long segment":      {store.Key{Collection: "a", Path: [][]byte{make([]byte, 256)}}, false},
	} {
		err := test.key.Validate()
		if (err == nil) != test.want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
