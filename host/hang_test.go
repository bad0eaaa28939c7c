package host_test

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// Hosts and plugins that hang, as on a machine that swaps or is moved: a stopped process answers nothing, keeps its
// connections and locks, and goes on later as if no time had passed. Eight clients decide with each of two hosts on the same
// runs meanwhile.

func TestStoreHangs(t *testing.T) {
	hangs(t, map[string]func(*besieged) error{
		// The host finds out by its health checks, kills the process and starts another.
		"for good": func(b *besieged) error {
			pid, err := b.store(0)
			if err != nil {
				return err
			}
			b.pause(300 * time.Millisecond)
			if err := stopped(pid); err != nil {
				return err
			}
			_, err = b.store(pid)
			return errors.Join(err, await("the stopped process to end", func() bool { return ended(pid) }))
		},
		"for moments": func(b *besieged) error {
			for range 4 {
				pid, err := b.store(0)
				if err != nil {
					return err
				}
				b.pause(100 * time.Millisecond)
				if err := stopped(pid); err != nil {
					return err
				}
				b.pause(600 * time.Millisecond)
				if err := resumed(pid); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func TestHostHangs(t *testing.T) {
	hangs(t, map[string]func(*besieged) error{
		// The other host serves its clients meanwhile, and so decides before calls that the stopped one has begun.
		"while another serves": func(b *besieged) error {
			if b.number > 0 {
				return b.servesOn(2 * time.Second)
			}
			for range 2 {
				b.pause(100 * time.Millisecond)
				pid := b.host.cmd.Process.Pid
				if err := stopped(pid); err != nil {
					return err
				}
				time.Sleep(time.Second)
				if err := resumed(pid); err != nil {
					return err
				}
				if err := b.servesOn(50 * time.Millisecond); err != nil {
					return err
				}
			}
			return nil
		},
		// Its plugins too: a transaction that the store is in keeps the database locked until it goes on.
		"with its plugins": func(b *besieged) error {
			if b.number > 0 {
				return b.servesOn(time.Second)
			}
			for range 3 {
				b.pause(100 * time.Millisecond)
				all := append(children(b.t, b.host.cmd.Process.Pid), b.host.cmd.Process.Pid)
				for _, pid := range all {
					if err := stopped(pid); err != nil {
						return err
					}
				}
				b.pause(700 * time.Millisecond)
				for _, pid := range all {
					if err := resumed(pid); err != nil {
						return err
					}
				}
			}
			return nil
		},
		// A stopped process dies like a running one, and its plugins with it.
		"and is killed": func(b *besieged) error {
			b.pause(100 * time.Millisecond)
			if err := stopped(b.host.cmd.Process.Pid); err != nil {
				return err
			}
			b.pause(500 * time.Millisecond)
			return errors.Join(b.killHost(), b.open())
		},
	})
}

func hangs(t *testing.T, attacks map[string]func(*besieged) error) {
	binary(t)
	plugins(t)
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSiege(t, 2)
			s.round(attack)
			t.Logf("%d decisions acknowledged and found again", s.decisions)
		})
	}
}

// servesOn has this very host decide again and again, for so long and at least once.
func (b *besieged) servesOn(during time.Duration) error {
	end := time.Now().Add(during)
	this := client{b.number, func(int) string { return b.url.Load().(string) }, b.got.history}
	for n := 0; n == 0 || time.Now().Before(end); n++ {
		trigger := fmt.Sprintf("serves-%d-%d", b.number, time.Now().UnixNano())
		err := await("a decision of this host", func() bool {
			_, _, ok := this.ask(b.run("round", 0), trigger)
			return ok
		})
		if err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}
