package upkeep

import (
	"context"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// steady is a store whose reads outlast an outage of it: a scan goes on after the last record that it has yielded.
type steady struct{ store.Store }

// steadily makes a store steady, once.
func steadily(s store.Store) store.Store {
	if _, already := s.(steady); already {
		return s
	}
	return steady{s}
}

func (s steady) Describe(ctx context.Context) (d store.Description, err error) {
	err = patient(ctx, func(func()) error {
		d, err = s.Store.Describe(ctx)
		return err
	})
	return d, err
}

func (s steady) Get(ctx context.Context, keys []store.Key) (records []store.Record, err error) {
	err = patient(ctx, func(func()) error {
		records, err = s.Store.Get(ctx, keys)
		return err
	})
	return records, err
}

func (s steady) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	var stopped error // that of yield, which is no fault of the store
	limited := scan.Limit > 0
	err := patient(ctx, func(moved func()) error {
		if limited && scan.Limit == 0 {
			return nil // the last one came before the store went away
		}
		err := s.Store.Scan(ctx, scan, func(record store.Record) error {
			moved()
			scan.StartAfter = record.Key.Path
			if limited {
				scan.Limit--
			}
			stopped = yield(record)
			return stopped
		})
		if stopped != nil {
			return nil
		}
		return err
	})
	if stopped != nil {
		return stopped
	}
	return err
}

// describe asks a store what it can do, and refuses one whose keys cannot be found.
func describe(ctx context.Context, s store.Store) (store.Description, error) {
	d, err := s.Describe(ctx)
	if err == nil && !d.Changes {
		err = fault.New(fault.Unimplemented, "the store does not tell its changes, without which its keys cannot be found")
	}
	return d, err
}

func get(ctx context.Context, s store.Store, key store.Key) (store.Record, error) {
	records, err := s.Get(ctx, []store.Key{key})
	if err != nil {
		return store.Record{}, err
	}
	return records[0], nil
}

// changesNow reads the change feed after a revision up to the newest revision when it is called, or a little further.
func changesNow(ctx context.Context, s store.Store, after uint64, yield func(store.ChangeSet) error) error {
	description, err := describe(ctx, s)
	if err != nil {
		return err
	}
	if after >= description.Revision {
		return nil
	}
	var stopped error
	err = patient(ctx, func(moved func()) error {
		err := s.Changes(ctx, after, func(set store.ChangeSet) error {
			moved()
			if stopped = yield(set); stopped != nil {
				return stopped
			}
			if after = set.Complete; after >= description.Revision {
				stopped = errEnough
			}
			return stopped
		})
		if stopped != nil {
			return nil
		}
		return err
	})
	if stopped != nil && !errors.Is(stopped, errEnough) {
		return stopped
	}
	return err
}
