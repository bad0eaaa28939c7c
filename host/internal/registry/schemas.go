package registry

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	schemaCollection      = "schemas"
	schemaCountCollection = "schema_counts"
)

// errEnough ends a scan that has found what it needs.
var errEnough = errors.New("enough")

// DataShape is a registered schema (contract appendix C).
type DataShape struct {
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	SchemaID    string           `member:"schema_id"`
	Version     string           `member:"version"`
	Schema      canonical.Value  `member:"schema"`
	Description *string          `member:"description" presence:"O"`
	CreatedAt   gate.Timestamp   `member:"created_at"`
	Signing     *ShapeSigning    `member:"signing" presence:"OS"`
}

// ShapeSigning is the signature that a schema was registered with.
type ShapeSigning struct {
	KeyID     string  `member:"key_id"`
	Signature string  `member:"signature"`
	Algorithm *string `member:"algorithm" presence:"OS"`
}

// ShapeRef names a schema.
type ShapeRef struct {
	SchemaID string `member:"schema_id"`
	Version  string `member:"version"`
}

func (s ShapeRef) path() [][]byte {
	return [][]byte{store.Segment(s.SchemaID), store.Segment(s.Version)}
}

func schemaKey(tenant gate.TenantID, namespace gate.NamespaceID, ref ShapeRef) store.Key {
	return store.Key{Collection: schemaCollection, Tenant: uint64(tenant), Namespace: uint64(namespace), Path: ref.path()}
}

func schemaCount(tenant gate.TenantID, namespace gate.NamespaceID) store.Key {
	return store.Key{Collection: schemaCountCollection, Tenant: uint64(tenant), Namespace: uint64(namespace), Path: [][]byte{[]byte("entries")}}
}

// Full reports whether Register would answer ErrRegistryFull.
func (r *Registry) Full(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, maxEntries uint64) (bool, error) {
	records, err := r.store.Get(ctx, []store.Key{schemaCount(tenant, namespace)})
	if err != nil || records[0].Version == 0 {
		return maxEntries == 0, err
	}
	if len(records[0].Body) != 8 {
		return false, fault.New(fault.Corrupt, "the count of schemas is not a counter")
	}
	return binary.BigEndian.Uint64(records[0].Body) >= maxEntries, nil
}

// Register stores a schema for ever. maxEntries bounds the schemas of a namespace. The error is ErrRegistryFull or ErrSchemaExists.
func (r *Registry) Register(ctx context.Context, shape DataShape, maxEntries uint64) error {
	// The count and the schema are one commit, so that registering at once on many hosts cannot pass the limit.
	outcomes, err := r.store.Commit(ctx, []store.Commit{{ID: persist.NewCommitID(), Ops: []store.Op{
		{Kind: store.OpAdd, Key: schemaCount(shape.TenantID, shape.NamespaceID), Delta: 1, Max: maxEntries},
		{
			Kind: store.OpPut, Key: schemaKey(shape.TenantID, shape.NamespaceID, ShapeRef{shape.SchemaID, shape.Version}),
			Body: canonical.Append(nil, shape, canonical.Declared), Expect: store.Absent(),
		},
	}}})
	if err != nil {
		return err
	}
	switch refusal := outcomes[0].Refusal; {
	case refusal == nil:
		return nil
	case refusal.Reason == store.Limit:
		return ErrRegistryFull
	case refusal.Reason == store.Conflict:
		return ErrSchemaExists
	default:
		return fault.New(fault.Internal, "the store refused a schema: %s", refusal.Message)
	}
}

// Schema reads a schema; the error is ErrNoSchema when there is none.
func (r *Registry) Schema(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, ref ShapeRef) (DataShape, error) {
	shape, _, err := r.readSchema(ctx, tenant, namespace, ref)
	return shape, err
}

// readSchema also answers the record.
func (r *Registry) readSchema(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, ref ShapeRef) (shape DataShape, record store.Record, err error) {
	records, err := r.store.Get(ctx, []store.Key{schemaKey(tenant, namespace, ref)})
	if err != nil {
		return shape, record, err
	}
	if records[0].Version == 0 {
		return shape, record, ErrNoSchema
	}
	err = persist.Decode(records[0], &shape)
	return shape, records[0], err
}

// maxPageBytes ends a page of schemas early: a thousand schemas of a megabyte each are more than clients read (mcp contract
// §1.9 names 16 MiB) and than a host should hold for one call. Clients follow the token of a short page as of any other.
const maxPageBytes = 4 << 20

// Schemas lists the schemas of a namespace by id and version, at most limit after the one named, and fewer when they are
// large: none only at the end.
func (r *Registry) Schemas(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, after *ShapeRef, limit int) ([]DataShape, error) {
	scan := store.Scan{Collection: schemaCollection, Tenant: uint64(tenant), Namespace: uint64(namespace), Limit: uint64(limit)}
	if after != nil {
		scan.StartAfter = after.path()
	}
	shapes, size := []DataShape{}, 0
	err := r.store.Scan(ctx, scan, func(record store.Record) error {
		var shape DataShape
		if err := persist.Decode(record, &shape); err != nil {
			return err
		}
		shapes = append(shapes, shape)
		if size += len(record.Body); size >= maxPageBytes {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return shapes, err
}
