package persist

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

type behalfKey struct{}

// OnBehalf is a context whose calls touch the store in the name of a tenant; 0 is the host's own.
func OnBehalf(ctx context.Context, tenant uint64) context.Context {
	if tenant == 0 {
		return ctx
	}
	return context.WithValue(ctx, behalfKey{}, tenant)
}

// Behalf is the tenant in whose name calls of a context touch the store; 0 is the host's own.
func Behalf(ctx context.Context) uint64 {
	tenant, _ := ctx.Value(behalfKey{}).(uint64)
	return tenant
}

// Told is a store that is told in whose name it is called, by the context of each call: what is read or written in the name
// of a tenant, a store with row-level security holds to that tenant, whatever the key says.
func Told(s store.Store) store.Store { return told{s} }

type told struct{ store.Store }

func (t told) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if tenant := Behalf(ctx); tenant != 0 {
		for i := range keys {
			keys[i].Behalf = tenant
		}
	}
	return t.Store.Get(ctx, keys)
}

func (t told) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	scan.Behalf = Behalf(ctx)
	return t.Store.Scan(ctx, scan, yield)
}

func (t told) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	if tenant := Behalf(ctx); tenant != 0 {
		for i := range commits {
			for j := range commits[i].Ops {
				commits[i].Ops[j].Key.Behalf = tenant
			}
		}
	}
	return t.Store.Commit(ctx, commits)
}
