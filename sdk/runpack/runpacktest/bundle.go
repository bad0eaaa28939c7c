package runpacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// bundle is a bundle to be written, its manifest last.
type bundle struct {
	key   runpack.Key
	tags  map[string]string
	files []file
}

type file struct {
	path    string
	content []byte
}

func (b bundle) manifest() file { return b.files[len(b.files)-1] }

const manifestPath = "manifest.json"

var specHash = strings.Repeat("5e", sha256.Size)

// sample is a small bundle; content makes its bytes differ from those of others.
func sample(tenant, namespace uint64, scenario, run, content string) bundle {
	return bundle{
		key:  runpack.Key{Tenant: tenant, Namespace: namespace, Scenario: scenario, Run: run, SpecSHA256: specHash},
		tags: map[string]string{"status": "completed"},
		files: []file{
			{"steps/1.json", []byte("step of " + content)},
			{manifestPath, []byte("manifest of " + content)},
		},
	}
}

// begin opens a bundle and writes the files.
func (b *bench) begin(w bundle, files ...file) string {
	b.Helper()
	id, err := b.sink.Begin(b.ctx, w.key, w.tags)
	if err != nil {
		b.Fatalf("Begin: %v", err)
	}
	for _, f := range files {
		b.write(id, f)
	}
	return id
}

func (b *bench) write(id string, f file) {
	b.Helper()
	got, err := b.sink.Write(b.ctx, id, f.path, bytes.NewReader(f.content))
	if err != nil {
		b.Fatalf("Write %q: %v", f.path, err)
	}
	want := runpack.Written{Size: uint64(len(f.content)), SHA256: sha256.Sum256(f.content)}
	if got != want {
		b.Errorf("Write %q answered %d bytes with sum %x, want %d with %x", f.path, got.Size, got.SHA256, want.Size, want.SHA256)
	}
}

// put exports a whole bundle and answers its URI.
func (b *bench) put(w bundle) string {
	b.Helper()
	uri, err := export(b.ctx, b.sink, w)
	if err != nil {
		b.Fatalf("export of %+v: %v", w.key, err)
	}
	return uri
}

// export is put for goroutines and for sinks that are killed meanwhile.
func export(ctx context.Context, sink runpack.Sink, w bundle) (string, error) {
	id, err := sink.Begin(ctx, w.key, w.tags)
	if err != nil {
		return "", err
	}
	for _, f := range w.files {
		if _, err := sink.Write(ctx, id, f.path, bytes.NewReader(f.content)); err != nil {
			return "", err
		}
	}
	return sink.Finish(ctx, id, w.manifest().path, sha256.Sum256(w.manifest().content))
}

// list answers the bundles of a scope and asserts their order.
func (b *bench) list(tenant, namespace uint64) []runpack.Bundle {
	b.Helper()
	var all []runpack.Bundle
	err := b.sink.List(b.ctx, tenant, namespace, func(got runpack.Bundle) error {
		all = append(all, got)
		return nil
	})
	if err != nil {
		b.Errorf("List(%d, %d): %v", tenant, namespace, err)
	}
	if !slices.IsSortedFunc(all, func(x, y runpack.Bundle) int { return strings.Compare(x.URI, y.URI) }) {
		b.Errorf("List(%d, %d) is not in URI order", tenant, namespace)
	}
	return all
}

// wantListed asserts which URIs a scope holds, in any order.
func (b *bench) wantListed(tenant, namespace uint64, want ...string) {
	b.Helper()
	var got []string
	for _, x := range b.list(tenant, namespace) {
		got = append(got, x.URI)
	}
	want = slices.Clone(want)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Errorf("List(%d, %d) answered %q, want %q", tenant, namespace, got, want)
	}
}

// wantWhole asserts that a finished bundle is listed once as it was written, and that every file has its bytes.
func (b *bench) wantWhole(uri string, w bundle) {
	b.Helper()
	found := 0
	for _, got := range b.list(w.key.Tenant, w.key.Namespace) {
		if got.URI == uri {
			found++
			b.wantSame(got, w)
		}
	}
	if found != 1 {
		b.Errorf("bundle %s is listed %d times, want once", uri, found)
	}
	for _, f := range w.files {
		b.wantFile(uri, f)
	}
}

func (b *bench) wantSame(got runpack.Bundle, w bundle) {
	b.Helper()
	if got.Key != w.key {
		b.Errorf("bundle %s is of %+v, want %+v", got.URI, got.Key, w.key)
	}
	if !maps.Equal(got.Tags, w.tags) {
		b.Errorf("bundle %s has the tags %q, want %q", got.URI, got.Tags, w.tags)
	}
	if got.ManifestPath != w.manifest().path || got.ManifestSHA256 != sha256.Sum256(w.manifest().content) {
		b.Errorf("bundle %s has the manifest %q with sum %x", got.URI, got.ManifestPath, got.ManifestSHA256)
	}
	want := make([]runpack.File, len(w.files))
	for i, f := range w.files {
		want[i] = runpack.File{Path: f.path, Size: uint64(len(f.content)), SHA256: sha256.Sum256(f.content)}
	}
	if !slices.Equal(got.Files, want) {
		b.Errorf("bundle %s has %d files %v, want %d in the order in which they were written", got.URI, len(got.Files), got.Files, len(want))
	}
}

func (b *bench) wantFile(uri string, f file) {
	b.Helper()
	got, err := read(b.ctx, b.sink, uri, f.path)
	if err != nil {
		b.Errorf("read of %q: %v", f.path, err)
	} else if !bytes.Equal(got, f.content) {
		b.Errorf("%q holds %d bytes other than the %d that were written", f.path, len(got), len(f.content))
	}
}

func read(ctx context.Context, sink runpack.Sink, uri, path string) ([]byte, error) {
	r, err := sink.Open(ctx, uri, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// wantReason asserts that a call was refused for one of the reasons.
func (b *bench) wantReason(err error, doing string, want ...fault.Reason) {
	b.Helper()
	if got := fault.ReasonOf(err); !slices.Contains(want, got) {
		b.Errorf("%s: answered %q (%v), want %q", doing, got, err, want)
	}
}
