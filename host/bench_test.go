package host_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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
			measure(b, clients, 2, func(worker, i int) {
				run := randomRun()
				f.must("scenario_start", json.RawMessage(fmt.Sprintf(`{"scenario_id":"loop","run_config":{"tenant_id":1,"namespace_id":1,"run_id":%q,"scenario_id":"loop","dispatch_targets":[],"policy_tags":[]},
					"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`, run)), nil)
				f.must("scenario_next", next(run, "t"), nil)
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
			measure(b, 1, 1, func(_, i int) { f.must("scenario_next", next("r", fmt.Sprintf("t-%d", i)), nil) })
		})
	}
}

// measure runs op from so many clients and reports calls a second and the latency of an operation.
func measure(b *testing.B, clients, calls int, op func(worker, i int)) {
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
				op(w, i)
				took[w] = append(took[w], time.Since(start))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	b.StopTimer()
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
