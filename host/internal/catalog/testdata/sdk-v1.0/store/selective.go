package store

import (
	"context"
	"slices"
)

// Selective is a Store that need not read the changes of all collections to tell those of some: a host keeps little of what is
// stored in memory, and most of what changes is of runs.
type Selective interface {
	// ChangesOf is Changes for some collections; none means all. Complete counts the changes of the others too, which need
	// not be told.
	ChangesOf(ctx context.Context, collections []string, after uint64, yield func(ChangeSet) error) error
}

// ChangesOf tells the changes of some collections of any store, and of no other; none means all.
func ChangesOf(ctx context.Context, s Store, collections []string, after uint64, yield func(ChangeSet) error) error {
	if s, ok := s.(Selective); ok {
		return s.ChangesOf(ctx, collections, after, only(collections, yield))
	}
	return s.Changes(ctx, after, only(collections, yield))
}

// only leaves out changes of other collections.
func only(collections []string, yield func(ChangeSet) error) func(ChangeSet) error {
	if len(collections) == 0 {
		return yield
	}
	return func(set ChangeSet) error {
		set.Changes = slices.DeleteFunc(slices.Clone(set.Changes), func(change Change) bool { return !slices.Contains(collections, change.Key.Collection) })
		return yield(set)
	}
}
