package host_test

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faultRuns is how many histories are recorded and checked; "make histories" makes it 200.
var faultRuns = flag.Int("histories", 2, "how many runs with faults TestHistories records and checks")

// faultsEach is the number of faults that each host's attacker makes in a run; the hosts share the database and its faults.
// Between two of them some decisions are made, so that each meets clients that are served.
const (
	faultsEach = 4
	between    = 10
)

// faultKind is something that breaks while clients decide.
type faultKind struct {
	name string
	make func(b *besieged, db *database, wire *brokenWire) error
}

var faultKinds = []faultKind{
	{"kill the plugin", func(b *besieged, _ *database, _ *brokenWire) error {
		pid, err := b.store(0)
		if err != nil {
			return err
		}
		if err := b.maybeHang(pid); err != nil {
			return err
		}
		// The supervisor may have been faster.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return nil
	}},
	{"kill the host", func(b *besieged, _ *database, _ *brokenWire) error {
		if err := b.maybeHang(b.host.cmd.Process.Pid); err != nil {
			return err
		}
		if err := b.killHost(); err != nil {
			return err
		}
		return b.reopen()
	}},
	{"crash the database", func(b *besieged, db *database, _ *brokenWire) error {
		_, err := db.try(fmt.Sprintf("crash %dms", b.random.IntN(100)))
		return err
	}},
	{"end the sessions", func(_ *besieged, db *database, _ *brokenWire) error { _, err := db.try("cut"); return err }},
	{"cut the connections", func(_ *besieged, _ *database, wire *brokenWire) error { wire.cut(); return nil }},
	{"lose the answers", func(b *besieged, _ *database, wire *brokenWire) error {
		wire.loseAnswers(time.Duration(b.random.Int64N(int64(40 * time.Millisecond))))
		return nil
	}},
}

// reopen starts a host until it serves: one does not start while its database is away, and whoever runs it starts it again.
func (b *besieged) reopen() (err error) {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		if err = b.open(); err == nil {
			return nil
		}
		b.host.kill()
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// decided waits for so many more decisions, of whichever host.
func (b *besieged) decided(more int) error {
	before := b.got.count()
	return await("decisions", func() bool { return b.got.count() >= before+more })
}

// TestHistories has clients of two hosts on one PostgreSQL decide on few runs while hosts, plugins, the database and the
// connections between them fail at random moments. What the clients were told must be what one run that they use in turn would
// have told them: nothing lost, nothing twice, nothing out of order. Every runpack replays, and no process is left.
func TestHistories(t *testing.T) {
	binary(t)
	plugins(t)
	db := startDatabase(t)
	at, err := url.Parse(db.dsn)
	if err != nil {
		t.Fatal(err)
	}
	wire := breakableWire(t, at.Host)
	at.Host = wire.address
	s := newSiegeOn(t, 2, "store-postgres", postgresHCL(t, at.String()))
	var made atomic.Int64 // every kind has its turn
	var lost, calls int
	for range *faultRuns {
		got := s.round(func(b *besieged) error {
			for range faultsEach {
				if err := b.decided(between); err != nil {
					return err
				}
				b.pause(100 * time.Millisecond)
				kind := faultKinds[int(made.Add(1))%len(faultKinds)]
				b.note("host %d: %s", b.number, kind.name)
				if err := kind.make(b, db, wire); err != nil {
					return fmt.Errorf("%s: %w", kind.name, err)
				}
			}
			return nil
		})
		if t.Failed() {
			return
		}
		n, unknown := got.history.count()
		calls, lost = calls+n, lost+unknown
	}
	// The server notices a little later that a connection has ended.
	waitFor(t, "the sessions of the hosts to end", func() bool {
		return db.do("sql SELECT count(*) FROM pg_stat_activity WHERE usename = 'decision_gate'")[0] == "0"
	})
	t.Logf("%d histories with %d faults are linearizable: %d calls, of which %d have an unknown outcome; %d decisions acknowledged and found again", s.rounds, made.Load(), calls, lost, s.decisions)
}
