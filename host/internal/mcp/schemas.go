package mcp

import (
	"cmp"
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

// Bounds of a page (mcp contract §4.17).
const (
	defaultPage = 50
	maxPage     = 1000
)

type listArguments struct {
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	Cursor      *string          `member:"cursor" presence:"O"`
	Limit       *uint64          `member:"limit" presence:"O"`
}

func (a *listArguments) limit() (int, error) {
	switch {
	case a.Limit == nil:
		return defaultPage, nil
	case *a.Limit < 1 || *a.Limit > maxPage:
		return 0, refuse(InvalidParams, "limit must be between 1 and %d", maxPage)
	default:
		return int(*a.Limit), nil
	}
}

type shapeRecord struct {
	Record registry.DataShape `member:"record"`
}

// allowSchemas asks the rules of the registry. They come before existence, schema and page: whoever may not use it learns
// nothing of it (mcp contract §3.4). The shape is nil for a list.
func (s *Server) allowSchemas(who caller, action access.Action, tenant gate.TenantID, namespace gate.NamespaceID, shape *registry.ShapeRef) error {
	decision := s.Access.Schemas(who.principal, action, tenant, namespace)
	s.recordSchemas(who, decision, tenant, namespace, shape)
	if denial := decision.Denial(); denial != nil {
		return denied(denial)
	}
	return nil
}

// allowSigning asks for the signature of a record, which is over its canonical form without the member signing.
func (s *Server) allowSigning(record *registry.DataShape) error {
	var signature *access.Signature
	if r := record.Signing; r != nil {
		signature = &access.Signature{KeyID: r.KeyID, Signature: r.Signature, Algorithm: r.Algorithm}
	}
	denial := s.Access.CheckSigning(signature, func() []byte {
		unsigned := *record
		unsigned.Signing = nil
		return canonical.Append(nil, unsigned, canonical.Canonical)
	})
	if denial != nil {
		return denied(denial)
	}
	return nil
}

// schemasRegister is mcp contract §4.17; the order of the checks is the contract's.
func (s *Server) schemasRegister(ctx context.Context, who caller, a shapeRecord) (shapeRecord, error) {
	if err := s.allowSchemas(who, access.Register, a.Record.TenantID, a.Record.NamespaceID, &registry.ShapeRef{SchemaID: a.Record.SchemaID, Version: a.Record.Version}); err != nil {
		return shapeRecord{}, err
	}
	if err := s.allowSigning(&a.Record); err != nil {
		return shapeRecord{}, err
	}
	if size := len(canonical.AppendValue(nil, a.Record.Schema, canonical.Declared)); size > s.Schemas.MaxBytes {
		return shapeRecord{}, refuse(InvalidParams, "schema exceeds size limit: %d bytes (max %d)", size, s.Schemas.MaxBytes)
	}
	if _, err := schema.Compile(a.Record.Schema); err != nil {
		if full, failed := s.Registry.Full(ctx, a.Record.TenantID, a.Record.NamespaceID, s.Schemas.MaxEntries); failed != nil || full {
			return shapeRecord{}, cmp.Or(failed, registry.ErrRegistryFull)
		}
		return shapeRecord{}, refuse(InvalidParams, "invalid schema: %v", err)
	}
	return a, s.Registry.Register(ctx, a.Record, s.Schemas.MaxEntries)
}

type schemaArguments struct {
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	SchemaID    string           `member:"schema_id"`
	Version     string           `member:"version"`
}

func (s *Server) schemasGet(ctx context.Context, who caller, a schemaArguments) (shapeRecord, error) {
	ref := registry.ShapeRef{SchemaID: a.SchemaID, Version: a.Version}
	if err := s.allowSchemas(who, access.Get, a.TenantID, a.NamespaceID, &ref); err != nil {
		return shapeRecord{}, err
	}
	shape, err := s.Registry.Schema(ctx, a.TenantID, a.NamespaceID, ref)
	return shapeRecord{shape}, err
}

type schemasPage struct {
	Items     []registry.DataShape `member:"items"`
	NextToken *string              `member:"next_token" presence:"O"`
}

// schemasList answers a page; its token names the last item and is there as long as the page is not empty.
func (s *Server) schemasList(ctx context.Context, who caller, a listArguments) (schemasPage, error) {
	if err := s.allowSchemas(who, access.List, a.TenantID, a.NamespaceID, nil); err != nil {
		return schemasPage{}, err
	}
	limit, err := a.limit()
	if err != nil {
		return schemasPage{}, err
	}
	var after *registry.ShapeRef
	if a.Cursor != nil {
		after = &registry.ShapeRef{}
		v, err := canonical.Parse([]byte(*a.Cursor))
		if err == nil {
			err = canonical.Decode(v, after)
		}
		if err != nil {
			return schemasPage{}, refuse(InvalidParams, "invalid cursor")
		}
	}
	items, err := s.Registry.Schemas(ctx, a.TenantID, a.NamespaceID, after, limit)
	if err != nil {
		return schemasPage{}, err
	}
	page := schemasPage{Items: items}
	if len(items) > 0 {
		last := items[len(items)-1]
		token := string(canonical.Append(nil, registry.ShapeRef{SchemaID: last.SchemaID, Version: last.Version}, canonical.Declared))
		page.NextToken = &token
	}
	return page, nil
}
