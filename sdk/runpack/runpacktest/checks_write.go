package runpacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func checkBytes(b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	w := sample(1, 2, "scenario", "run", "bytes")
	w.tags = map[string]string{"status": "completed", "ünï": "\x00 and \n", "": ""}
	w.files = []file{
		{"z-first.bin", every},
		{"empty", nil},
		{"json.json", []byte("{\"b\": 1.0,\r\n \"a\":1e0 }\n")},
		{".hidden", []byte("h")},
		{"..dots", []byte("d")},
		{"with space and ünicode 😀", []byte("u")},
		{"%2e%2e/%2F", []byte("percent")},
		{"bundle.json", []byte("looks like an index")},
		{"files/index.json", []byte("also")},
		{"a/b/c/d/e/f", []byte("deep")},
		{strings.Repeat("n", runpack.MaxComponent), []byte("widest")},
		{strings.Repeat("d/", 100) + "f", []byte("deepest")},
		{strings.Repeat(strings.Repeat("l", runpack.MaxComponent)+"/", 15) + strings.Repeat("l", runpack.MaxComponent-1) + "/l", []byte("longest")},
	}
	// Sizes around a chunk, where off-by-one errors live.
	for _, size := range []int{1, runpack.MaxChunk - 1, runpack.MaxChunk, runpack.MaxChunk + 1, 3*runpack.MaxChunk + 7} {
		w.files = append(w.files, file{fmt.Sprintf("size/%d", size), bytes.Repeat(every, size/len(every)+1)[:size]})
	}
	w.files = append(w.files, file{manifestPath, []byte("m")})
	uri, err := b.sink.Finish(b.ctx, b.begin(w, w.files...), manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil {
		b.Fatalf("Finish: %v", err)
	}
	b.wantWhole(uri, w)
}

func checkFileCount(b *bench) {
	w := sample(1, 2, "scenario", "run", "many files")
	id := b.begin(w)
	for i := range runpack.MaxFiles - 1 {
		b.write(id, file{fmt.Sprintf("f/%d", i), []byte{byte(i)}})
	}
	b.write(id, w.manifest())
	_, err := b.sink.Write(b.ctx, id, "one-too-many", strings.NewReader("x"))
	b.wantReason(err, "Write of one file too many", fault.TooLarge, fault.Invalid)
	if _, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content)); err != nil {
		b.Errorf("Finish of %d files: %v", runpack.MaxFiles, err)
	}
	if got := b.list(1, 2); len(got) != 1 || len(got[0].Files) != runpack.MaxFiles {
		b.Errorf("a bundle of %d files was not listed with as many", runpack.MaxFiles)
	}
}

func checkInvisible(b *bench) {
	w := sample(1, 2, "scenario", "run", "invisible")
	// The URI of the bundle is learnt by finishing it once and deleting it.
	uri := b.put(w)
	if err := b.sink.Delete(b.ctx, uri); err != nil {
		b.Fatalf("Delete: %v", err)
	}
	id := b.begin(w, w.files...)
	b.wantListed(1, 2)
	for _, target := range []string{uri, id} {
		_, err := read(b.ctx, b.sink, target, manifestPath)
		b.wantReason(err, "Open of an unfinished bundle", fault.NotFound)
	}
	b.wantReason(b.sink.Delete(b.ctx, uri), "Delete of an unfinished bundle", fault.NotFound)
	got, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil {
		b.Fatalf("Finish: %v", err)
	}
	b.wantWhole(got, w)
}

func checkSameBytes(b *bench) {
	w := sample(1, 2, "scenario", "run", "same")
	uri := b.put(w)
	if again := b.put(w); again != uri {
		b.Errorf("identical bytes answered %q, then %q", uri, again)
	}
	b.wantListed(1, 2, uri)
	b.reopen()
	if again := b.put(w); again != uri {
		b.Errorf("identical bytes answered %q, and after a restart %q", uri, again)
	}
	b.wantListed(1, 2, uri)
	b.wantWhole(uri, w)
}

func checkOtherBytes(b *bench) {
	first := sample(1, 2, "scenario", "run", "first")
	second := sample(1, 2, "scenario", "run", "second")
	// Only a file beside the manifest differs: a sink that looks at the manifest alone loses it.
	third := sample(1, 2, "scenario", "run", "first")
	third.files[0] = file{third.files[0].path, []byte("other bytes")}
	uris := []string{b.put(first), b.put(second), b.put(third)}
	if uris[0] == uris[1] || uris[0] == uris[2] || uris[1] == uris[2] {
		b.Errorf("bundles of other bytes share a URI: %q", uris)
	}
	b.wantListed(1, 2, uris...)
	for i, w := range []bundle{first, second, third} {
		b.wantWhole(uris[i], w)
	}
}

func checkManifestSum(b *bench) {
	w := sample(1, 2, "scenario", "run", "manifest")
	id := b.begin(w, w.files...)
	_, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256([]byte("another manifest")))
	b.wantReason(err, "Finish with another manifest's sum", fault.Corrupt)
	b.wantListed(1, 2)
	id = b.begin(w, w.files...)
	_, err = b.sink.Finish(b.ctx, id, "no-such-manifest.json", sha256.Sum256(w.manifest().content))
	b.wantReason(err, "Finish without a manifest", fault.Invalid, fault.NotFound)
	b.wantListed(1, 2)
}

func checkSecondWrite(b *bench) {
	w := sample(1, 2, "scenario", "run", "twice")
	id := b.begin(w, w.files...)
	_, err := b.sink.Write(b.ctx, id, manifestPath, strings.NewReader("second"))
	b.wantReason(err, "second Write of a path", fault.Invalid)
	uri, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil {
		b.Fatalf("Finish after a refused Write: %v", err)
	}
	b.wantWhole(uri, w)
}

func checkUnknownIDs(b *bench) {
	w := sample(1, 2, "scenario", "run", "unknown")
	finished := b.begin(w, w.files...)
	uri, err := b.sink.Finish(b.ctx, finished, manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil {
		b.Fatalf("Finish: %v", err)
	}
	aborted := b.begin(w)
	if err := b.sink.Abort(b.ctx, aborted); err != nil {
		b.Errorf("Abort: %v", err)
	}
	for _, id := range []string{"", "no such id", "..", "../data", ".", "/", "a\x00b", strings.Repeat("x", 5000), uri, finished, aborted} {
		_, err := b.sink.Write(b.ctx, id, "late", strings.NewReader("late"))
		b.wantReason(err, fmt.Sprintf("Write to id %.40q", id), fault.NotFound, fault.Invalid)
		_, err = b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
		b.wantReason(err, fmt.Sprintf("Finish of id %.40q", id), fault.NotFound, fault.Invalid)
		if err := b.sink.Abort(b.ctx, id); err != nil {
			b.Errorf("Abort of the unknown id %.40q: %v", id, err)
		}
	}
	b.wantWhole(uri, w)
}

// hostilePaths are those that package runpack calls INVALID.
var hostilePaths = []string{
	"", "/", "/etc/passwd", "..", "../canary", "../../canary", "a/../../../canary", "a/..", ".", "./a", "a/.", "a//b", "a/", "//a",
	"nul\x00byte", strings.Repeat("c", runpack.MaxComponent+1), strings.Repeat("p/", runpack.MaxPath/2) + "q",
}

func checkPaths(b *bench) {
	w := sample(1, 2, "scenario", "run", "paths")
	uri := b.put(w)
	id := b.begin(w)
	for _, path := range hostilePaths {
		_, err := b.sink.Write(b.ctx, id, path, strings.NewReader("escaped"))
		b.wantReason(err, fmt.Sprintf("Write of path %.40q", path), fault.Invalid)
		_, err = read(b.ctx, b.sink, uri, path)
		b.wantReason(err, fmt.Sprintf("Open of path %.40q", path), fault.Invalid, fault.NotFound)
	}
	b.write(id, w.files[0])
	b.write(id, w.manifest())
	again, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil || again != uri {
		b.Errorf("Finish after refused paths answered %q, %v, want %q: nothing of them may stay", again, err, uri)
	}
	b.wantWhole(uri, w)
}

func checkAbort(b *bench) {
	w, other := sample(1, 2, "scenario", "run", "aborted"), sample(1, 2, "scenario", "run", "other")
	kept := b.put(sample(1, 2, "scenario", "run", "kept"))
	id, otherID := b.begin(w, w.files...), b.begin(other, other.files...)
	if err := b.sink.Abort(b.ctx, id); err != nil {
		b.Errorf("Abort: %v", err)
	}
	_, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	b.wantReason(err, "Finish of an aborted bundle", fault.NotFound)
	b.wantListed(1, 2, kept)
	uri, err := b.sink.Finish(b.ctx, otherID, manifestPath, sha256.Sum256(other.manifest().content))
	if err != nil {
		b.Fatalf("Finish of the bundle beside the aborted one: %v", err)
	}
	b.wantListed(1, 2, kept, uri)
	b.wantWhole(uri, other)
}

func checkConcurrent(b *bench) {
	const bundles, files = 8, 8
	written := make([]bundle, bundles)
	uris := make([]string, bundles)
	var wg sync.WaitGroup
	for i := range bundles {
		// Pairs of equal bundles finish at the same time, in one key.
		w := sample(1, 2, "scenario", "run", fmt.Sprint(i/2))
		w.files = nil
		for j := range files {
			w.files = append(w.files, file{fmt.Sprintf("f%d", j), bytes.Repeat([]byte{byte(i / 2), byte(j)}, runpack.MaxChunk)})
		}
		w.files = append(w.files, file{manifestPath, []byte(fmt.Sprint(i / 2))})
		written[i] = w
		wg.Go(func() {
			var err error
			if uris[i], err = export(b.ctx, b.sink, w); err != nil {
				b.Errorf("export %d beside others: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := 0; i < bundles; i += 2 {
		if uris[i] != uris[i+1] {
			b.Errorf("identical bytes at the same time answered %q and %q", uris[i], uris[i+1])
		}
		b.wantWhole(uris[i], written[i])
	}
	if got := len(b.list(1, 2)); got != bundles/2 {
		b.Errorf("%d bundles are listed, want %d", got, bundles/2)
	}
	b.checkFilesTogether()
}

// checkFilesTogether writes the files of one bundle at the same time, two of them to one path.
func (b *bench) checkFilesTogether() {
	b.Helper()
	w := sample(3, 4, "scenario", "run", "together")
	id := b.begin(w)
	var wg sync.WaitGroup
	var mu sync.Mutex
	wins := 0
	for i := range 8 {
		wg.Go(func() {
			if _, err := b.sink.Write(b.ctx, id, fmt.Sprintf("own/%d", i), strings.NewReader("own")); err != nil {
				b.Errorf("Write beside others: %v", err)
			}
			if _, err := b.sink.Write(b.ctx, id, "contested", strings.NewReader(fmt.Sprint(i))); err == nil {
				mu.Lock()
				wins++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wins != 1 {
		b.Errorf("%d of 8 calls wrote the same path, want 1", wins)
	}
	b.write(id, w.manifest())
	if _, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content)); err != nil {
		b.Errorf("Finish: %v", err)
	}
	if got := b.list(3, 4); len(got) != 1 || len(got[0].Files) != 10 {
		b.Errorf("the bundle has not the 10 files that were written")
	}
}

var errBroken = errors.New("the content broke off")

func checkFailedContent(b *bench) {
	w := sample(1, 2, "scenario", "run", "failed")
	id := b.begin(w, w.files[0])
	content := io.MultiReader(bytes.NewReader(make([]byte, 2*runpack.MaxChunk)), brokenReader{})
	if _, err := b.sink.Write(b.ctx, id, "broken", content); err == nil {
		b.Errorf("Write of content that broke off was answered")
	}
	b.finishWithout(id, w)
}

// finishWithout finishes a bundle after a Write that failed, once the sink has noticed that the Write is over.
func (b *bench) finishWithout(id string, w bundle) {
	b.Helper()
	b.write(id, w.manifest())
	deadline := time.Now().Add(10 * time.Second)
	for {
		uri, err := b.sink.Finish(b.ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
		if fault.Is(err, fault.Invalid) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err == nil {
			b.wantWhole(uri, w)
		}
		// A sink may also give the bundle up; what it must not do is show the broken file.
		break
	}
	for _, got := range b.list(w.key.Tenant, w.key.Namespace) {
		for _, f := range got.Files {
			if f.Path == "broken" {
				b.Errorf("a file whose Write failed is part of the bundle, with %d bytes", f.Size)
			}
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

// promptly is how soon a cancelled call returns at the latest; it is long, as the machine may be busy.
const promptly = 10 * time.Second

func checkCancel(b *bench) {
	w := sample(1, 2, "scenario", "run", "cancel")
	id := b.begin(w, w.files[0])
	ctx, cancel := context.WithCancel(b.ctx)
	content := &slowReader{ctx: ctx, cancel: cancel, left: 4}
	begun := time.Now()
	if _, err := b.sink.Write(ctx, id, "broken", content); err == nil {
		b.Errorf("a cancelled Write was answered")
	}
	if took := time.Since(begun); took > promptly {
		b.Errorf("a cancelled Write took %s", took)
	}
	b.finishWithout(id, w)

	ctx, cancel = context.WithCancel(b.ctx)
	cancel()
	if _, err := b.sink.Begin(ctx, w.key, nil); err == nil {
		b.Errorf("Begin with a cancelled context was answered")
	}
	if err := b.sink.List(ctx, 1, 2, func(runpack.Bundle) error { return nil }); err == nil {
		b.Errorf("List with a cancelled context was answered")
	}
}

// slowReader gives a few chunks, then ends its own call's context and waits like a client that has gone away.
type slowReader struct {
	ctx    context.Context
	cancel func()
	left   int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.left--; r.left >= 0 {
		return len(p), nil
	}
	r.cancel()
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}
