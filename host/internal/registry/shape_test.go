package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

func registered(t *testing.T, r *Registry, id, schemaText string) ShapeRef {
	t.Helper()
	s := shape(id, "1")
	var err error
	if s.Schema, err = canonical.Parse([]byte(schemaText)); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(t.Context(), s, 100); err != nil {
		t.Fatal(err)
	}
	return ShapeRef{id, "1"}
}

// TestShapeIsReadOnce validates by one reading of the store, whoever asks and however many at a time.
func TestShapeIsReadOnce(t *testing.T) {
	store := faultystore.New()
	r := New(store)
	ref := registered(t, r, "s", `{"type":"integer"}`)
	if _, err := r.Shape(t.Context(), 1, 1, ref); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the store is away")
	store.Around(func(context.Context, faultystore.Call, func()) error { return broken })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := r.Shape(t.Context(), 1, 1, ref)
			if err != nil {
				t.Error(err)
				return
			}
			for _, c := range []struct {
				text  string
				valid bool
			}{{"1", true}, {`"x"`, false}, {fmt.Sprint(i), true}} {
				v, _ := canonical.Parse([]byte(c.text))
				if problems, err := s.Validate(v); err != nil || (len(problems) == 0) != c.valid {
					t.Errorf("%s: %v, %v", c.text, problems, err)
				}
			}
		})
	}
	all.Wait()
	if _, err := r.Shape(t.Context(), 1, 1, ShapeRef{"t", "1"}); !errors.Is(err, broken) {
		t.Errorf("another shape: %v", err)
	}
}

// TestShapeOfOneTenant does not answer for another's.
func TestShapeOfOneTenant(t *testing.T) {
	r := New(faultystore.New())
	ref := registered(t, r, "s", `true`)
	if _, err := r.Shape(t.Context(), 1, 1, ref); err != nil {
		t.Fatal(err)
	}
	for _, other := range [][2]uint64{{2, 1}, {1, 2}} {
		if _, err := r.Shape(t.Context(), gate.TenantID(other[0]), gate.NamespaceID(other[1]), ref); !errors.Is(err, ErrNoSchema) {
			t.Errorf("%v: %v", other, err)
		}
	}
}

// TestJudgeOnce asks once for a pair, and remembers a refusal as well.
func TestJudgeOnce(t *testing.T) {
	r := New(faultystore.New())
	ref := registered(t, r, "s", `true`)
	s, err := r.Shape(t.Context(), 1, 1, ref)
	if err != nil {
		t.Fatal(err)
	}
	asked, no := 0, errors.New("no")
	judge := func([]gate.ConditionSpec, canonical.Value) error {
		if asked++; asked == 1 {
			return no
		}
		return nil
	}
	one, two := scenario(t, "one", 1, 1, ""), scenario(t, "two", 1, 1, "")
	for range 3 {
		if got := s.Judge(one, judge); got != no {
			t.Errorf("one: %v", got)
		}
		if got := s.Judge(two, judge); got != nil {
			t.Errorf("two: %v", got)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	for i := range 2 * maxJudged {
		_ = s.Judge(scenario(t, fmt.Sprint(i), 1, 1, ""), judge)
	}
	if len(s.judged) > maxJudged {
		t.Errorf("%d are remembered", len(s.judged))
	}
}
