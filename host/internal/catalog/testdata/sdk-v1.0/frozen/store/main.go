// Command store is a store of protocol version 1.0 that keeps records in memory.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "store-frozen", Version: "1.0.0",
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: "greeting", Type: sdk.String, Required: true, Help: "Any text."}}},
		OpenStore: func(context.Context, json.RawMessage) (store.Store, error) {
			return &memory{records: map[string]store.Record{}}, nil
		},
	})
}

type memory struct {
	mu       sync.Mutex
	records  map[string]store.Record
	revision uint64
}

func (m *memory) Describe(context.Context) (store.Description, error) {
	return store.Description{MaxBodyBytes: store.MaxBody, MaxOps: store.MaxOps, MaxCommits: store.MaxCommits, MaxKeys: store.MaxKeys, CommitIDLifetime: store.CommitIDLifetime}, nil
}

func (m *memory) Get(_ context.Context, keys []store.Key) (out []store.Record, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		r := m.records[string(store.AppendKey(nil, k))]
		r.Key = k
		out = append(out, r)
	}
	return out, nil
}

func (m *memory) Commit(_ context.Context, commits []store.Commit) (out []store.Outcome, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range commits {
		m.revision++
		o := store.Outcome{Revision: m.revision}
		for _, op := range c.Ops {
			name := string(store.AppendKey(nil, op.Key))
			version := m.records[name].Version + 1
			m.records[name] = store.Record{Key: op.Key, Version: version, Revision: m.revision, Body: op.Body, SHA256: sha256.Sum256(op.Body)}
			o.Versions = append(o.Versions, version)
		}
		out = append(out, o)
	}
	return out, nil
}

func (m *memory) Scan(_ context.Context, scan store.Scan, yield func(store.Record) error) error {
	m.mu.Lock()
	var found []store.Record
	for _, r := range m.records {
		if r.Key.Collection == scan.Collection && r.Key.Tenant == scan.Tenant && r.Key.Namespace == scan.Namespace {
			found = append(found, r)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(found, func(a, b store.Record) int {
		return bytes.Compare(store.AppendKey(nil, a.Key), store.AppendKey(nil, b.Key))
	})
	for _, r := range found {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Changes(context.Context, uint64, func(store.ChangeSet) error) error {
	return fault.New(fault.Unimplemented, "there is no feed of changes")
}

func (m *memory) Close() error { return nil }
