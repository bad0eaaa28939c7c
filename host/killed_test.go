package host_test

import (
	"flag"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// kills is how often the store plugin and the host are killed each; "make faults" makes it 2,000.
var kills = flag.Int("kills", 50, "how often TestStoreKilled kills the store plugin, and TestHostKilled the host")

// formations are who is attacked: SQLite recovers its log when the only process that had the database open has died, and
// goes on with it while another has it open.
var formations = []struct {
	name  string
	hosts int
}{{"one host", 1}, {"two hosts", 2}}

// TestStoreKilled kills the store plugin again and again while clients decide, at any moment from the start of its process
// on: the host recovers it by itself, and every decision that a client was given is there afterwards.
func TestStoreKilled(t *testing.T) {
	besiege(t, 3, func(b *besieged, kills int) error {
		killed := 0
		for range kills {
			pid, err := b.store(killed)
			if err != nil {
				return err
			}
			b.pause(200 * time.Millisecond)
			if err := b.maybeHang(pid); err != nil {
				return err
			}
			b.note("host %d: kill store %d", b.number, pid)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return fmt.Errorf("kill store %d: %w", pid, err)
			}
			killed = pid
		}
		return nil
	})
}

// TestHostKilled kills the whole host again and again while clients decide, at any moment, also while it starts. Its plugins
// end with it; the next one has every decision that a client was given, decides none twice, and leaves no socket behind,
// also not its predecessors'.
func TestHostKilled(t *testing.T) {
	besiege(t, 5, func(b *besieged, kills int) error {
		for range kills {
			b.pause(150 * time.Millisecond)
			if err := b.maybeHang(b.host.cmd.Process.Pid); err != nil {
				return err
			}
			b.note("host %d: kill", b.number)
			if err := b.killHost(); err != nil {
				return err
			}
			next, err := launchProgram(b.host.cmd.Path, b.config, b.temp)
			if err != nil {
				return err
			}
			b.host = next
			if b.random.IntN(3) == 0 {
				continue // killed in its start
			}
			if err := next.announced(); err != nil {
				return err
			}
			b.url.Store(next.url)
		}
		if b.host.url != "" {
			return nil
		}
		if err := b.host.announced(); err != nil {
			return err
		}
		b.url.Store(b.host.url)
		return nil
	})
}

// besiege kills in rounds of a few kills of each host, until the number is reached.
func besiege(t *testing.T, each int, attack func(b *besieged, kills int) error) {
	binary(t)
	plugins(t)
	for _, formation := range formations {
		t.Run(formation.name, func(t *testing.T) {
			t.Parallel()
			s := newSiege(t, formation.hosts)
			done := 0
			for left := (*kills + 1) / len(formations); left > 0 && !t.Failed(); left -= each * formation.hosts {
				s.round(func(b *besieged) error { return attack(b, each) })
				done += each * formation.hosts
			}
			t.Logf("%d kills in %d rounds, %d decisions acknowledged and found again", done, s.rounds, s.decisions)
		})
	}
}

// maybeHang stops one in five processes for a moment before it is killed: what it had begun is then done late, or never.
func (b *besieged) maybeHang(pid int) error {
	if b.random.IntN(5) > 0 {
		return nil
	}
	b.note("host %d: stop %d", b.number, pid)
	if err := stopped(pid); err != nil {
		return err
	}
	b.pause(200 * time.Millisecond)
	if b.random.IntN(2) == 0 {
		return nil // killed while it hangs
	}
	if err := resumed(pid); err != nil {
		return err
	}
	b.pause(50 * time.Millisecond)
	return nil
}

func (b *besieged) ready() bool {
	response, err := http.Get(b.url.Load().(string) + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
