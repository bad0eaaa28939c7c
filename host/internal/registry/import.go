package registry

import (
	"context"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Holds says whether a schema is registered as it is; numbers are the same as in its canonical form. The error is
// ErrSchemaExists when its id and version belong to another.
func (r *Registry) Holds(ctx context.Context, shape DataShape) (bool, error) {
	there, err := r.Schema(ctx, shape.TenantID, shape.NamespaceID, ShapeRef{shape.SchemaID, shape.Version})
	switch {
	case errors.Is(err, ErrNoSchema):
		return false, nil
	case err != nil:
		return false, err
	case string(canonical.Append(nil, there, canonical.Canonical)) != string(canonical.Append(nil, shape, canonical.Canonical)):
		return false, ErrSchemaExists
	default:
		return true, nil
	}
}
