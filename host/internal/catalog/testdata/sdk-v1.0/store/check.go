package store

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Check says what makes a commit wrong whatever the store holds; nil when it may be tried. A store that is served over
// the protocol never sees a commit that Check refuses.
func (c Commit) Check() *Refusal {
	switch {
	case len(c.Ops) == 0:
		return invalid(0, "the commit has no op")
	case len(c.Ops) > MaxOps:
		return invalid(MaxOps, "the commit has %d ops, want at most %d", len(c.Ops), MaxOps)
	}
	seen := make(map[string]struct{}, len(c.Ops))
	for i, op := range c.Ops {
		if refusal := op.check(i); refusal != nil {
			return refusal
		}
		encoded := string(AppendKey(nil, op.Key))
		if _, twice := seen[encoded]; twice {
			return invalid(i, "the key of op %d occurs twice in the commit", i)
		}
		seen[encoded] = struct{}{}
	}
	return nil
}

func (o Op) check(i int) *Refusal {
	switch o.Kind {
	case OpPut:
		if len(o.Body) > MaxBody {
			return invalid(i, "op %d: a body of %d bytes, want at most %d", i, len(o.Body), MaxBody)
		}
	case OpDelete:
	case OpAdd:
		if o.Max > MaxCounter {
			return invalid(i, "op %d: a maximum of %d, want at most %d", i, o.Max, uint64(MaxCounter))
		}
	default:
		return invalid(i, "op %d is neither put, delete nor add, or its expectation is unclear", i)
	}
	if err := o.Key.Validate(); err != nil {
		return invalid(i, "op %d: %s", i, err)
	}
	return nil
}

func invalid(op int, format string, args ...any) *Refusal {
	return &Refusal{Reason: Invalid, Op: op, Message: fmt.Sprintf(format, args...)}
}

// checkBodies refuses a request that holds a body no store needs to take.
func checkBodies(commits []Commit) error {
	for _, commit := range commits {
		for _, op := range commit.Ops {
			if len(op.Body) > MaxBody {
				return fault.New(fault.TooLarge, "a record body of %d bytes in collection %q: want at most %d", len(op.Body), op.Key.Collection, MaxBody)
			}
		}
	}
	return nil
}
