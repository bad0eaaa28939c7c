package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// memory keeps counters and records, and each commit in a file, so that a killed process finds them again.
type memory struct {
	settings struct {
		Path, Unready, Password string
	}
	mu       sync.Mutex
	file     *os.File
	records  map[string]store.Record
	done     map[[16]byte]store.Outcome
	revision uint64
}

func (m *memory) load() error {
	if m.settings.Path == "" {
		return nil
	}
	var err error
	if m.file, err = os.OpenFile(m.settings.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	return m.read()
}

// read applies the lines that it has not seen.
func (m *memory) read() error {
	lines := bufio.NewScanner(m.file)
	for lines.Scan() {
		var c store.Commit
		if json.Unmarshal(lines.Bytes(), &c) == nil {
			m.apply(c)
		}
	}
	return lines.Err()
}

// shared says that another process may write the same file.
var shared = os.Args[1] == "shared"

// refresh reads what another process has written, and keeps it from writing until unlock.
func (m *memory) refresh() (unlock func(), err error) {
	if !shared {
		return func() {}, nil
	}
	fd := int(m.file.Fd())
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { _ = syscall.Flock(fd, syscall.LOCK_UN) }, m.read()
}

func name(k store.Key) string { return string(store.AppendKey(nil, k)) }

func (m *memory) apply(c store.Commit) store.Outcome {
	if outcome, ok := m.done[c.ID]; ok {
		return outcome
	}
	m.revision++
	var outcome store.Outcome
	for _, op := range c.Ops {
		r := m.records[name(op.Key)]
		body := op.Body
		if op.Kind == store.OpAdd {
			var n int64
			_ = json.Unmarshal(r.Body, &n)
			body, _ = json.Marshal(n + op.Delta)
		}
		m.records[name(op.Key)] = store.Record{Key: op.Key, Version: r.Version + 1, Revision: m.revision, Body: body, SHA256: sha256.Sum256(body)}
		outcome.Versions = append(outcome.Versions, r.Version+1)
	}
	outcome.Revision = m.revision
	m.done[c.ID] = outcome
	return outcome
}

func (m *memory) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	for _, c := range commits {
		if err := act(ctx, c.Ops[0].Key); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	unlock, err := m.refresh()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []store.Outcome
	for _, c := range commits {
		_, again := m.done[c.ID]
		out = append(out, m.apply(c))
		if m.file != nil && !again {
			line, _ := json.Marshal(c)
			if _, err := m.file.Write(append(line, '\n')); err != nil {
				return nil, err
			}
		}
	}
	time.Sleep(time.Millisecond) // a disk
	return out, nil
}

func (m *memory) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	var out []store.Record
	for _, k := range keys {
		if err := act(ctx, k); err != nil {
			return nil, err
		}
		m.mu.Lock()
		unlock, err := m.refresh()
		if err != nil {
			m.mu.Unlock()
			return nil, err
		}
		unlock()
		r := m.records[name(k)]
		m.mu.Unlock()
		r.Key = k
		out = append(out, r)
	}
	return out, nil
}

// Scan answers three records.
func (m *memory) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	for _, last := range []string{"a", "b", "c"} {
		key := store.Key{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace, Path: [][]byte{[]byte(last)}}
		if err := yield(store.Record{Key: key, Version: 1, Revision: 1, Body: []byte(last), SHA256: sha256.Sum256([]byte(last))}); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Describe(context.Context) (store.Description, error) {
	return store.Description{MaxBodyBytes: store.MaxBody, MaxOps: store.MaxOps, MaxCommits: store.MaxCommits, MaxKeys: store.MaxKeys, CommitIDLifetime: store.CommitIDLifetime}, nil
}

func (m *memory) Changes(ctx context.Context, _ uint64, _ func(store.ChangeSet) error) error {
	if !shared {
		return fault.New(fault.Unimplemented, "no change feed")
	}
	<-ctx.Done()
	return ctx.Err()
}

// Close hangs where the file's name asks for it.
func (m *memory) Close() error {
	if m.settings.Password == "hang on close" {
		select {}
	}
	if m.file == nil {
		return nil
	}
	return errors.Join(m.file.Sync(), m.file.Close())
}
