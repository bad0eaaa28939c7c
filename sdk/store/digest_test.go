package store

import "testing"

// Two commits that a store must tell apart never have one digest; the same ops always have the same one.
func TestDigestTellsCommitsApart(t *testing.T) {
	key := func(collection string, path ...string) Key {
		k := Key{Collection: collection, Tenant: 1, Namespace: 2}
		for _, s := range path {
			k.Path = append(k.Path, []byte(s))
		}
		return k
	}
	put := func(k Key, body string, e Expect) Op { return Op{Kind: OpPut, Key: k, Body: []byte(body), Expect: e} }
	a := put(key("c", "a"), "body", Any())
	different := map[string][]Op{
		"base":           {a},
		"other body":     {put(key("c", "a"), "bodz", Any())},
		"longer body":    {put(key("c", "a"), "body\x00", Any())},
		"other path":     {put(key("c", "b"), "body", Any())},
		"split path":     {put(key("c", "a", ""), "body", Any())},
		"collection":     {put(key("d", "a"), "body", Any())},
		"scope":          {put(Key{Collection: "c", Tenant: 2, Namespace: 1, Path: [][]byte{[]byte("a")}}, "body", Any())},
		"absent":         {put(key("c", "a"), "body", Absent())},
		"version 1":      {put(key("c", "a"), "body", Version(1))},
		"version 2":      {put(key("c", "a"), "body", Version(2))},
		"delete":         {{Kind: OpDelete, Key: key("c", "a")}},
		"add 1":          {{Kind: OpAdd, Key: key("c", "a"), Delta: 1, Max: 5}},
		"add -1":         {{Kind: OpAdd, Key: key("c", "a"), Delta: -1, Max: 5}},
		"other max":      {{Kind: OpAdd, Key: key("c", "a"), Delta: 1, Max: 6}},
		"two ops":        {a, put(key("c", "b"), "", Any())},
		"two ops turned": {put(key("c", "b"), "", Any()), a},
	}
	seen := map[[32]byte]string{}
	for name, ops := range different {
		digest := Commit{Ops: ops}.Digest()
		if other, ok := seen[digest]; ok {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[digest] = name
		if again := (Commit{ID: [16]byte{9}, Ops: ops}).Digest(); again != digest {
			t.Errorf("%q: the digest depends on more than the ops", name)
		}
	}
	if (Commit{Ops: []Op{put(key("c", "a"), "", Version(0))}}).Digest() != (Commit{Ops: []Op{{Kind: OpPut, Key: key("c", "a"), Expect: Absent()}}}).Digest() {
		t.Error("an empty and a nil body, or Version(0) and Absent(), differ")
	}
}
