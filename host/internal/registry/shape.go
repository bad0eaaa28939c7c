package registry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"weak"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// maxCachedShapeBytes bounds the data shapes that are kept, by the size of what is stored. Compiled ones are larger, which the
// garbage collector may take.
const maxCachedShapeBytes = 16 << 20

// maxJudged bounds the scenarios that a shape remembers to fit or not.
const maxJudged = 256

// Shape is a data shape that is used again and again: what was found out about it once is kept. It is safe for concurrent use.
type Shape struct {
	DataShape

	// compiled holds *schema.Schema: each validates one value at a time, and a caller whose value takes long must not hold up
	// those of others.
	compiled sync.Pool

	mu     sync.Mutex
	judged map[weak.Pointer[gate.Scenario]]error
}

// Shape finds a data shape to validate with; it is read from the store once, since it is never changed, only removed. The error is
// ErrNoSchema when there is none.
func (r *Registry) Shape(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, ref ShapeRef) (*Shape, error) {
	// For whoever it was read in the name of, as scenarioKey.
	key := sha256.Sum256(store.AppendKey(binary.BigEndian.AppendUint64(nil, persist.Behalf(ctx)), schemaKey(tenant, namespace, ref)))
	if shape := r.shapes.get(key); shape != nil {
		return shape, nil
	}
	epoch := r.shapes.now()
	stored, record, err := r.readSchema(ctx, tenant, namespace, ref)
	if err != nil {
		return nil, err
	}
	shape := &Shape{DataShape: stored, judged: map[weak.Pointer[gate.Scenario]]error{}}
	r.shapes.put(epoch, key, shape, record)
	return shape, nil
}

// Validate returns what is wrong with a value, as schema.Schema does. The error is that of a schema that does not compile.
func (s *Shape) Validate(v canonical.Value) ([]string, error) {
	compiled, _ := s.compiled.Get().(*schema.Schema)
	if compiled == nil {
		var err error
		if compiled, err = schema.Compile(s.Schema); err != nil {
			return nil, err
		}
	}
	defer s.compiled.Put(compiled)
	return compiled.Validate(v), nil
}

// Judge answers what judge says of the conditions of a scenario and this shape. Neither of them changes: it is asked once.
func (s *Shape) Judge(scenario *gate.Scenario, judge func([]gate.ConditionSpec, canonical.Value) error) error {
	of := weak.Make(scenario)
	s.mu.Lock()
	err, known := s.judged[of]
	s.mu.Unlock()
	if known {
		return err
	}
	err = judge(scenario.Spec().Conditions, s.Schema)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.judged) >= maxJudged {
		clear(s.judged)
	}
	s.judged[of] = err
	return err
}
