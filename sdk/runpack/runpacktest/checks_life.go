package runpacktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func checkRestart(b *bench) {
	w, unfinished := sample(1, 2, "scenario", "run", "kept"), sample(1, 2, "scenario", "run", "unfinished")
	uri := b.put(w)
	b.begin(unfinished, unfinished.files...)
	b.reopen()
	b.wantListed(1, 2, uri)
	b.wantWhole(uri, w)
	b.wantWhole(b.put(unfinished), unfinished)
}

func checkKillWhileWriting(b *bench) {
	const rounds, writers = 4, 4
	answered := map[string]bundle{}
	var mu sync.Mutex
	for round := range rounds {
		ctx, stop := context.WithCancel(b.ctx)
		sink := b.sink
		var wg sync.WaitGroup
		for writer := range writers {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					w := sample(1, 2, fmt.Sprint(writer), fmt.Sprint(round), fmt.Sprintf("%d-%d-%d", round, writer, i))
					uri, err := export(ctx, sink, w)
					if err != nil {
						return
					}
					mu.Lock()
					answered[uri] = w
					mu.Unlock()
				}
			})
		}
		time.Sleep(20*time.Millisecond + rand.N(80*time.Millisecond))
		b.kill()
		stop()
		wg.Wait()
		b.opened = b.target.open(b.T, b.dir)
	}
	listed := 0
	for _, got := range b.list(1, 2) {
		if w, ok := answered[got.URI]; ok {
			listed++
			b.wantSame(got, w)
		}
		// Also what was not answered is whole when it is seen.
		for _, f := range got.Files {
			if content, err := read(b.ctx, b.sink, got.URI, f.Path); err != nil || uint64(len(content)) != f.Size {
				b.Errorf("after a kill, %q of %s has %d bytes, %v, want %d", f.Path, got.URI, len(content), err, f.Size)
			}
		}
	}
	if listed != len(answered) {
		b.Errorf("after %d kills, %d of %d answered bundles are listed", rounds, listed, len(answered))
	}
}

func checkTwoProcesses(b *bench) {
	other := b.target.open(b.T, b.dir)
	w := sample(1, 2, "scenario", "run", "first")
	uri := b.put(w)
	if _, err := read(b.ctx, other.sink, uri, manifestPath); err != nil {
		b.Errorf("the other process cannot read what the first has finished: %v", err)
	}
	seen := 0
	if err := other.sink.List(b.ctx, 1, 2, func(runpack.Bundle) error { seen++; return nil }); err != nil || seen != 1 {
		b.Errorf("the other process lists %d bundles, %v, want the one that the first has finished", seen, err)
	}
	second, err := export(b.ctx, other.sink, w)
	if err != nil || second != uri {
		b.Errorf("identical bytes in another process answered %q, %v, want %q", second, err, uri)
	}
	const bundles = 20
	want := []string{uri}
	for i := range bundles {
		w := sample(1, 2, "scenario", "run", fmt.Sprint("both ", i))
		var uris [2]string
		var errs [2]error
		var wg sync.WaitGroup
		wg.Go(func() { uris[0], errs[0] = export(b.ctx, b.sink, w) })
		wg.Go(func() { uris[1], errs[1] = export(b.ctx, other.sink, w) })
		wg.Wait()
		if errs != [2]error{} || uris[0] != uris[1] {
			b.Errorf("identical bytes at the same time in two processes answered %q, %v", uris, errs)
		}
		want = append(want, uris[0])
	}
	b.wantListed(1, 2, want...)
	b.kill()
	b.opened = other
	b.wantListed(1, 2, want...)
	b.wantWhole(uri, w)
}
