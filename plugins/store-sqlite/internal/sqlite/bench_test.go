package sqlite

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// BenchmarkCommit makes the commits of a run's step: a head that is replaced, a step of 1.2 KB, a trigger mark and a
// counter. Run ids are random, which is the hard case for the tree of keys.
func BenchmarkCommit(b *testing.B) {
	for _, committers := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(committers), func(b *testing.B) {
			s := mustOpen(b, testOptions(b.TempDir()))
			body := strings.Repeat("x", 1200)
			var wg sync.WaitGroup
			work := make(chan struct{}, committers)
			b.ResetTimer()
			for range committers {
				wg.Go(func() {
					run, version, step := "", uint64(0), 0
					for range work {
						if step%20 == 0 {
							var id [16]byte
							_, _ = rand.Read(id[:])
							run, version = hex.EncodeToString(id[:]), 0
						}
						step++
						o := commit(b, s,
							put(key(run), body[:600], store.Version(version)),
							put(store.Key{Collection: "run_steps", Path: [][]byte{[]byte(run), store.Uint64Segment(uint64(step))}}, body, store.Absent()),
							put(store.Key{Collection: "run_triggers", Path: [][]byte{[]byte(run), store.Uint64Segment(uint64(step))}}, body[:40], store.Absent()),
							store.Op{Kind: store.OpAdd, Key: store.Key{Collection: "usage", Path: [][]byte{[]byte("calls")}}, Delta: 1, Max: store.MaxCounter},
						)
						version = o.Versions[0]
					}
				})
			}
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(b.N)/float64(s.work.transactions.Load()), "commits/transaction")
		})
	}
}

// BenchmarkGet reads a head and a trigger mark together.
func BenchmarkGet(b *testing.B) {
	s := mustOpen(b, testOptions(b.TempDir()))
	keys := []store.Key{key("head"), key("trigger")}
	commit(b, s, put(keys[0], strings.Repeat("x", 600), store.Any()))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), keys); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
