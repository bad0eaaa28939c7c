package storetest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// servedMemory is a data set in a server that can be crashed and set unsafe.
type servedMemory struct {
	*memory
	server Remote
}

func (m *servedMemory) remote() *Remote { return &m.server }

// TestRemote runs stores whose server loses nothing, and stores whose server does or may.
func TestRemote(t *testing.T) {
	for name, kind := range map[string]struct {
		loses, careless, believes bool
		caught                    string
	}{
		"sound":                          {},
		"a record is lost in a crash":    {loses: true, caught: "server-crash"},
		"commits go to an unsafe server": {careless: true, caught: "server-unsafe"},
		"bodies are believed":            {believes: true, caught: "server-damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ck := range remoteChecks {
				failed, report := record(t, ck, served(kind.loses, kind.careless, kind.believes))
				if failed != (ck.name == kind.caught) {
					t.Errorf("%s: failed %v\n%s", ck.name, failed, report)
				}
			}
		})
	}
}

func served(loses, careless, believes bool) *servedMemory {
	var unsafe, damaged atomic.Bool
	broken := func(collection string) error {
		if damaged.Load() && !believes && collection == "runs" {
			return fault.New(fault.Corrupt, "damaged")
		}
		return nil
	}
	target := &servedMemory{memory: newMemory(func(s store.Store) store.Store {
		return &wrong{Store: s, commit: func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			if unsafe.Load() && !careless {
				return nil, fault.New(fault.Denied, "the server is unsafe")
			}
			if err := broken(commits[0].Ops[0].Key.Collection); err != nil {
				return nil, err
			}
			return s.Commit(ctx, commits)
		}, get: func(ctx context.Context, keys []store.Key) ([]store.Record, error) {
			if err := broken(keys[0].Collection); err != nil {
				return nil, err
			}
			return s.Get(ctx, keys)
		}, scan: func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			if err := broken(scan.Collection); err != nil {
				return err
			}
			return s.Scan(ctx, scan, yield)
		}}
	})}
	set := func(value bool) func() error {
		return func() error {
			unsafe.Store(value)
			return nil
		}
	}
	target.server = Remote{Unsafe: map[string]Setting{"syncs off": {Set: set(true), Unset: set(false)}}, Damage: func() error { damaged.Store(true); return nil }, Crash: func() error {
		if !loses {
			return nil
		}
		s := target.data.Open()
		defer s.Close()
		for _, record := range target.data.Range(everything()) {
			if len(record.Key.Path) == 3 {
				_, err := s.Commit(context.Background(), []store.Commit{newCommit(del(record.Key))})
				return err
			}
		}
		return nil
	}}
	return target
}
