package upkeep

import (
	"context"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// away is a store that goes away after every few records of a scan, and before every other call.
type away struct {
	*faultystore.Store
	calls int
}

func (s *away) gone() error {
	if s.calls++; s.calls%2 == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "away")
}

func (s *away) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	n := 0
	return s.Store.Scan(ctx, scan, func(record store.Record) error {
		if n++; n > 40 {
			return fault.New(fault.Unavailable, "away")
		}
		return yield(record)
	})
}

func (s *away) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if err := s.gone(); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, keys)
}

func (s *away) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	outcomes, err := s.Store.Commit(ctx, commits)
	if gone := s.gone(); gone != nil {
		return nil, gone // it has happened
	}
	return outcomes, err
}

// Stores that go away again and again while they are copied make it slower, and nothing else.
func TestCopyOutlastsOutages(t *testing.T) {
	from, to := filled(t, 400), faultystore.New()
	report := copied(t, &away{Store: from}, &away{Store: to}, CopyOptions{})
	if want := uint64(len(contents(t, from))); report.Compared != want {
		t.Errorf("%+v, want %d records compared", report, want)
	}
	sameContents(t, from, to)
}
