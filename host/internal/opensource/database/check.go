package database

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

// MaxState is the size in bytes of the largest state that the open-source server stores (contract §0.6).
const MaxState = 16 << 20

// Row is one run as the database has it: its newest version.
type Row struct {
	TenantID, NamespaceID uint64
	RunID                 string
	// Version counts from 1; the older versions of a run are beginnings of the newest.
	Version int64
	// SavedAt is when it was written, in milliseconds since 1970.
	SavedAt int64
	// State is the document.
	State []byte
	// Hash is that of State, in lower-case hexadecimal, by the algorithm.
	Hash, Algorithm string
}

// History checks a row as the open-source server does when it loads a run (contract of its store, §8.3), and converts it. It also
// sees that nothing in the document is lost on the way.
func (r *Row) History() (*History, error) {
	var state gate.RunState
	document, err := document(r.State, r.Hash, r.Algorithm, &state)
	switch {
	case err != nil:
		return nil, err
	case string(state.RunID) != r.RunID:
		return nil, fmt.Errorf("run_id mismatch between key and payload: the document is of run %q", state.RunID)
	case uint64(state.TenantID) != r.TenantID || uint64(state.NamespaceID) != r.NamespaceID:
		return nil, fmt.Errorf("tenant/namespace mismatch between key and payload: the document is of tenant %d, namespace %d", state.TenantID, state.NamespaceID)
	}
	history, err := Convert(&state)
	if err != nil {
		return nil, err
	}
	kept := canonical.Append(nil, *history.State(), canonical.Canonical)
	if string(kept) == string(r.State) {
		return history, nil
	}
	v, err := canonical.ParseRecord(kept)
	if err != nil {
		return nil, err
	}
	if place := lost(document, v); place != "" {
		return nil, fmt.Errorf("its document has something at %s that this host has no place for", place)
	}
	return history, nil
}

// document reads a stored document, whose hash must be that of its bytes.
func document(content []byte, hash, algorithm string, target any) (canonical.Value, error) {
	if algorithm != string(canonical.SHA256) {
		return canonical.Value{}, fmt.Errorf("unsupported hash algorithm: %s", algorithm)
	}
	if sum := canonical.Digest(sha256.Sum256(content)).Value; sum != hash {
		return canonical.Value{}, fmt.Errorf("hash mismatch: its document has the SHA-256 %s, and the database says %s", sum, hash)
	}
	v, err := canonical.ParseRecord(content)
	if err == nil {
		err = canonical.Decode(v, target)
	}
	if err != nil {
		return canonical.Value{}, fmt.Errorf("its document cannot be read: %w", err)
	}
	return v, nil
}

// lost finds the first place at which a value has something that another lacks, "" when there is none. That the other has more,
// such as members with the values that they have when they are absent, is no loss.
func lost(have, kept canonical.Value) string {
	switch {
	case have.Kind() == canonical.Object && kept.Kind() == canonical.Object:
		others := make(map[string]canonical.Value, len(kept.Members()))
		for _, m := range kept.Members() {
			others[m.Name] = m.Value
		}
		for _, m := range have.Members() {
			other, ok := others[m.Name]
			if !ok {
				return "." + m.Name
			}
			if place := lost(m.Value, other); place != "" {
				return "." + m.Name + place
			}
		}
		return ""
	case have.Kind() == canonical.Array && kept.Kind() == canonical.Array:
		others := kept.Items()
		for i, item := range have.Items() {
			index := "[" + strconv.Itoa(i) + "]"
			if i >= len(others) {
				return index
			}
			if place := lost(item, others[i]); place != "" {
				return index + place
			}
		}
		return ""
	case string(canonical.AppendValue(nil, have, canonical.Canonical)) == string(canonical.AppendValue(nil, kept, canonical.Canonical)):
		return ""
	default:
		return " (its value)"
	}
}

// ShapeRow is one data shape as the database has it.
type ShapeRow struct {
	TenantID, NamespaceID uint64
	SchemaID, Version     string
	// Schema is the document; Hash is that of Schema, in lower-case hexadecimal, by the algorithm.
	Schema          []byte
	Hash, Algorithm string
	Description     *string
	// KeyID, Signature and SigningAlgorithm are nil in databases of schema version 3.
	KeyID, Signature, SigningAlgorithm *string
	// CreatedAt is a timestamp as JSON.
	CreatedAt string
}

// Shape checks a row and makes a data shape of it.
func (r *ShapeRow) Shape() (*registry.DataShape, error) {
	shape := &registry.DataShape{
		TenantID: gate.TenantID(r.TenantID), NamespaceID: gate.NamespaceID(r.NamespaceID),
		SchemaID: r.SchemaID, Version: r.Version, Description: r.Description,
	}
	if _, err := document(r.Schema, r.Hash, r.Algorithm, &shape.Schema); err != nil {
		return nil, err
	}
	created, err := canonical.Parse([]byte(r.CreatedAt))
	if err == nil {
		err = canonical.Decode(created, &shape.CreatedAt)
	}
	if err != nil {
		return nil, fmt.Errorf("its created_at_json cannot be read: %w", err)
	}
	switch {
	case r.KeyID != nil && r.Signature != nil:
		shape.Signing = &registry.ShapeSigning{KeyID: *r.KeyID, Signature: *r.Signature, Algorithm: r.SigningAlgorithm}
	case r.KeyID != nil || r.Signature != nil || r.SigningAlgorithm != nil:
		return nil, fmt.Errorf("it has a part of a signature only")
	}
	return shape, nil
}
