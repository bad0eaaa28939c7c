package postgres_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// stepBody is as long as a step of four conditions, and compresses as well.
func stepBody() string {
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, `{"condition_id":"c%d","status":"True","result":{"value":{"kind":"json","value":true},"lane":"verified","evidence_hash":{"algorithm":"sha256","value":%q},"evidence_anchor":{"anchor_type":"trigger_time_unix_millis"}}},`, i, rand.Text()+rand.Text())
	}
	return b.String()
}

// BenchmarkCommit makes the commits of decisions: a head that is replaced, a step and a trigger mark.
func BenchmarkCommit(b *testing.B) {
	for _, tenants := range []uint64{1, 100} {
		for _, committers := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("tenants=%d/committers=%d", tenants, committers), func(b *testing.B) { benchmarkCommit(b, tenants, committers) })
		}
	}
}

func benchmarkCommit(b *testing.B, tenants uint64, committers int) {
	name, err := server.Database()
	if err != nil {
		b.Fatal(err)
	}
	s, err := postgres.Open(b.Context(), options(server.DSN(pgtest.App, name)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	body := stepBody()
	var wg sync.WaitGroup
	work := make(chan struct{}, committers)
	b.ResetTimer()
	for i := range committers {
		wg.Go(func() {
			run, version, step := "", uint64(0), 0
			tenant := 1 + uint64(i)%tenants
			for range work {
				if step%20 == 0 {
					var id [16]byte
					_, _ = rand.Read(id[:])
					run, version = hex.EncodeToString(id[:]), 0
				}
				step++
				head := put(key("runs", tenant, run), body[:760])
				head.Expect = store.Version(version)
				added := put(key("run_steps", tenant, run, fmt.Sprintf("%08d", step)), body)
				mark := put(key("run_triggers", tenant, run, rand.Text()), body[:10])
				added.Expect, mark.Expect = store.Absent(), store.Absent()
				outcomes, err := s.Commit(b.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{head, added, mark}}})
				if err != nil {
					b.Error(err)
					continue
				}
				version = outcomes[0].Versions[0]
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
}
