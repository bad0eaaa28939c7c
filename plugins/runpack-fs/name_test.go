package main

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func TestEscape(t *testing.T) {
	for id, want := range map[string]string{
		"": "~empty", "run-1_a.b": "run-1_a.b", ".": "%2E", "..": "%2E.", ".staging": "%2Estaging", "a/b": "a%2Fb", "a\x00": "a%00",
		"~empty": "%7Eempty", "%2F": "%252F", "é": "%C3%A9", strings.Repeat("a", maxName): strings.Repeat("a", maxName),
		strings.Repeat("a", maxName+1): "~sha256-c12cb024a2e5551cca0e08fce8f1c5e314555cc3fef6329ee994a3db752166ae",
	} {
		if got := escape(id); got != want {
			t.Errorf("escape(%q) = %q, want %q", id, got, want)
		}
	}
}

// someID draws the characters that an escaping might confuse, and lengths around the limit.
var someID = rapid.OneOf(
	rapid.String(),
	rapid.StringOfN(rapid.SampledFrom([]rune("~%2F/.aA0\x00-éempty")), 0, maxName+10, -1),
	rapid.SampledFrom([]string{"", "~empty", ".", "..", "%", "~sha256-"}),
)

// TestEscapeProperties: a name is one safe component, says its id to whoever decodes it, and is no other id's.
func TestEscapeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someID.Draw(t, "a"), someID.Draw(t, "b")
		name := escape(a)
		if !isName(name) {
			t.Fatalf("escape(%q) = %q, which is no name", a, name)
		}
		if (a == b) != (name == escape(b)) {
			t.Fatalf("%q and %q have the names %q and %q", a, b, name, escape(b))
		}
		if decoded, err := url.PathUnescape(name); name[0] != '~' && (err != nil || decoded != a) {
			t.Fatalf("%q, the name of %q, decodes to %q, %v", name, a, decoded, err)
		}
	})
}

func TestURIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := runpack.Key{
			Tenant: rapid.Uint64().Draw(t, "tenant"), Namespace: rapid.Uint64().Draw(t, "namespace"),
			Scenario: someID.Draw(t, "scenario"), Run: someID.Draw(t, "run"),
		}
		c := content{Tenant: key.Tenant, Namespace: key.Namespace, Scenario: key.Scenario, Run: key.Run}
		parent, name, ok := bundlePath(c.uri())
		if !ok || parent != keyPath(key) || name != c.hash() {
			t.Fatalf("the URI %q is of %q, %q, %v", c.uri(), parent, name, ok)
		}
	})
}

// FuzzURI: a URI that comes back from a client never names anything but a bundle's directory.
func FuzzURI(f *testing.F) {
	good := content{Tenant: 1, Namespace: 2, Scenario: "s", Run: "r"}.uri()
	for _, seed := range []string{good, good + "/..", strings.Replace(good, "/s/", "/../", 1), strings.Replace(good, "/1/", "/01/", 1), uriPrefix, "", strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		parent, name, ok := bundlePath(uri)
		if !ok {
			return
		}
		if uriPrefix+parent+"/"+name != uri {
			t.Errorf("%q has a second spelling", uri)
		}
		for part := range strings.SplitSeq(parent+"/"+name, "/") {
			if part == "" || part[0] == '.' || len(part) > 255 || strings.ContainsAny(part, "\x00\\") {
				t.Errorf("%q has the component %q", uri, part)
			}
		}
	})
}
