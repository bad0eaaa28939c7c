package upkeep

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Scope is a tenant's namespace in a collection: what a scan walks. 0 is the system scope.
type Scope struct {
	Collection string `json:"collection"`
	Tenant     uint64 `json:"tenant"`
	Namespace  uint64 `json:"namespace"`
}

func scopeOf(key store.Key) Scope { return Scope{key.Collection, key.Tenant, key.Namespace} }

func (s Scope) scan() store.Scan {
	return store.Scan{Collection: s.Collection, Tenant: s.Tenant, Namespace: s.Namespace}
}

// Compare orders scopes as keys are.
func (s Scope) Compare(other Scope) int {
	return cmp.Or(
		cmp.Compare(s.Collection, other.Collection),
		cmp.Compare(s.Tenant, other.Tenant),
		cmp.Compare(s.Namespace, other.Namespace),
	)
}

// errEnough ends a walk that has found what it needs.
var errEnough = errors.New("enough")

// scopes finds every scope that holds records, in order. No call enumerates them, but the change feed tells every key. It
// takes memory for the scopes and not for the keys.
func scopes(ctx context.Context, s store.Store) ([]Scope, error) {
	found := map[Scope]struct{}{}
	err := changesNow(ctx, s, 0, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			if !change.Deleted {
				found[scopeOf(change.Key)] = struct{}{}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(found), Scope.Compare), nil
}
