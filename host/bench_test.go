package host_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkStartAndNext starts runs with random ids and decides on each once, over HTTP, host and store plugin: two calls an
// operation, each durable before it is answered.
func BenchmarkStartAndNext(b *testing.B) {
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			f := open(b, b.TempDir())
			defineLoop(f)
			measure(b, clients, 2, func(int) error {
				run := randomRun()
				return errors.Join(f.try("scenario_start", start(run)), f.try("scenario_next", next(run, "t")))
			})
		})
	}
}

// BenchmarkNextByLength decides on one run again and again, from different lengths on.
func BenchmarkNextByLength(b *testing.B) {
	for _, length := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			f := open(b, b.TempDir())
			defineLoop(f, "r")
			for i := range length {
				f.must("scenario_next", next("r", fmt.Sprintf("warm-%d", i)), nil)
			}
			measure(b, 1, 1, func(i int) error { return f.try("scenario_next", next("r", fmt.Sprintf("t-%d", i))) })
		})
	}
}

// measure runs op from so many clients and reports calls a second and the latency of an operation.
func measure(b *testing.B, clients, calls int, op func(i int) error) {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = clients
	took := make([][]time.Duration, clients)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	began := time.Now()
	var wg sync.WaitGroup
	for w := range clients {
		wg.Go(func() {
			for i := 0; left.Add(-1) >= 0; i++ {
				start := time.Now()
				if err := op(i); err != nil {
					b.Error(err)
					return
				}
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	b.StopTimer()
	if b.Failed() {
		return
	}
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(len(all)*calls)/elapsed.Seconds(), "calls/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
}

// randomRun is the id of a run: random, because ordered ids flatter a B-tree.
func randomRun() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
