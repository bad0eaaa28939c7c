package runpacktest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// hostileIDs are ids that become paths, patterns, hosts or one another in a sink that is not careful.
var hostileIDs = []string{
	"", ".", "..", "...", "/", "//", "../../canary", "a/b", "a", "A", "a/", "/a", "a\\b", "a\x00b", "a\x00", "\x00",
	"%2F", "%2f", "%00", "%", "%25", "~", "~empty", "a b", " ", "a\n", "C:", "CON", "-", "--help", "*", "?", "$HOME", "`id`",
	"ünï", "u\u0308ni\u0308", "😀", "\u202egnp", "\ufeff", "run", "scenario", "bundle.json", ".staging",
	strings.Repeat("l", 255), strings.Repeat("l", 256), strings.Repeat("l", 300) + "x", strings.Repeat("l", 300) + "y",
	strings.Repeat("/", 5000), strings.Repeat("é", 100),
}

func checkIDs(b *bench) {
	uris := map[string]runpack.Key{}
	put := func(w bundle) {
		uri := b.put(w)
		if other, taken := uris[uri]; taken {
			b.Errorf("%.60q and %.60q share the URI %s", fmt.Sprint(w.key), fmt.Sprint(other), uri)
		}
		uris[uri] = w.key
	}
	for _, id := range hostileIDs {
		// The same bytes under each id, so that nothing but the id tells the bundles apart.
		put(sample(1, 2, id, "run", "ids"))
		if id != "run" {
			put(sample(1, 2, "run", id, "ids"))
		}
	}
	// Another scenario of the same name is another key.
	w := sample(1, 2, "a", "a", "ids")
	put(w)
	w.key.SpecSHA256 = strings.Repeat("a5", len(w.key.SpecSHA256)/2)
	put(w)

	listed := b.list(1, 2)
	if len(listed) != len(uris) {
		b.Errorf("%d bundles are listed, want %d", len(listed), len(uris))
	}
	for _, got := range listed {
		if want, ok := uris[got.URI]; !ok || got.Key != want {
			b.Errorf("%s is listed as of %.80q, want %.80q", got.URI, fmt.Sprint(got.Key), fmt.Sprint(want))
		}
		b.wantFile(got.URI, sample(1, 2, "", "", "ids").manifest())
	}
}

func checkScopes(b *bench) {
	ids := []uint64{1, 2, 10, 1 << 63, math.MaxUint64}
	all := map[uint64][]string{}
	each := map[[2]uint64]string{}
	for _, tenant := range ids {
		for _, namespace := range ids {
			uri := b.put(sample(tenant, namespace, "scenario", "run", "scopes"))
			all[tenant] = append(all[tenant], uri)
			each[[2]uint64{tenant, namespace}] = uri
		}
	}
	for _, tenant := range ids {
		b.wantListed(tenant, 0, all[tenant]...)
		for _, namespace := range ids {
			b.wantListed(tenant, namespace, each[[2]uint64{tenant, namespace}])
		}
		b.wantListed(tenant, 3)
	}
	b.wantListed(0, 0)
	b.wantListed(3, 1)
}

var errEnough = errors.New("enough")

func checkListMany(b *bench) {
	const many, manyWriters = 200, 8
	want := make([]string, many)
	var wg sync.WaitGroup
	for writer := range manyWriters {
		wg.Go(func() {
			for i := writer; i < many; i += manyWriters {
				// Ids whose order as directory names is not the order of the URIs.
				w := sample(1, uint64(1+i%3), []string{"a", "a-b", "a.b", "a/b", "a0"}[i%5], fmt.Sprint("run-", i), "many")
				w.tags = map[string]string{"padding": strings.Repeat("p", 10_000)}
				var err error
				if want[i], err = export(b.ctx, b.sink, w); err != nil {
					b.Errorf("export %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	b.wantListed(1, 0, want...)
	slices.Sort(want)
	var got []string
	err := b.sink.List(b.ctx, 1, 0, func(x runpack.Bundle) error {
		if got = append(got, x.URI); len(got) == 5 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(got, want[:5]) {
		b.Errorf("List that was stopped after 5 bundles answered %v after %d", err, len(got))
	}
}

func checkDelete(b *bench) {
	w := sample(1, 2, "scenario", "run", "deleted")
	neighbours := []bundle{
		sample(1, 2, "scenario", "run", "beside"), sample(1, 2, "scenario", "run2", "deleted"), sample(1, 2, "scenario", "", "deleted"),
		sample(1, 3, "scenario", "run", "deleted"), sample(2, 2, "scenario", "run", "deleted"),
	}
	uri := b.put(w)
	uris := make([]string, len(neighbours))
	for i, n := range neighbours {
		uris[i] = b.put(n)
	}
	if err := b.sink.Delete(b.ctx, uri); err != nil {
		b.Fatalf("Delete: %v", err)
	}
	b.wantReason(b.sink.Delete(b.ctx, uri), "second Delete", fault.NotFound)
	_, err := read(b.ctx, b.sink, uri, manifestPath)
	b.wantReason(err, "Open of a deleted bundle", fault.NotFound)
	b.reopen()
	b.wantListed(1, 2, uris[:3]...)
	for i, n := range neighbours {
		b.wantWhole(uris[i], n)
	}
	b.wantWhole(b.put(w), w)
}

func checkUnknownURIs(b *bench) {
	w := sample(1, 2, "scenario", "run", "uris")
	uri := b.put(w)
	parent := uri[:max(strings.LastIndexAny(uri, "/:"), 0)]
	for _, unknown := range []string{
		"", "/", ".", "..", "nonsense", "file:///etc/passwd", "http://127.0.0.1/", "a\x00b", strings.Repeat("u", 10_000),
		uri + "/", uri + "/.", uri + "/..", uri + "/../" + uri, uri + "x", uri + "\x00", uri[:len(uri)-1], parent, parent + "/", parent + "/..",
		strings.ToUpper(uri), " " + uri, uri + "?a=b", uri + "#f",
	} {
		_, err := read(b.ctx, b.sink, unknown, manifestPath)
		b.wantReason(err, fmt.Sprintf("Open of URI %.80q", unknown), fault.NotFound, fault.Invalid)
		b.wantReason(b.sink.Delete(b.ctx, unknown), fmt.Sprintf("Delete of URI %.80q", unknown), fault.NotFound, fault.Invalid)
	}
	for _, path := range []string{"no-such-file", "steps", "steps/1.json/x", "Manifest.json", "manifest.json ", "files/manifest.json"} {
		_, err := read(b.ctx, b.sink, uri, path)
		b.wantReason(err, fmt.Sprintf("Open of path %q", path), fault.NotFound)
	}
	b.wantWhole(uri, w)
}
