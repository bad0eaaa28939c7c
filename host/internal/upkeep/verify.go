package upkeep

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Finding is something wrong in a store: with a run, or with a record of something else.
type Finding struct {
	Tenant    uint64 `json:"tenant"`
	Namespace uint64 `json:"namespace"`
	Run       string `json:"run,omitempty"`
	// Step is the step that is wrong; 0 when it is the run as a whole, or when nothing shows which.
	Step    uint64 `json:"step,omitempty"`
	Record  string `json:"record,omitempty"`
	Problem string `json:"problem"`
}

// maxFindings bounds those that are kept; all are counted.
const maxFindings = 1000

// Verification is what Verify came to.
type Verification struct {
	runs.Verified
	// Records are those of other collections, which were read.
	Records uint64 `json:"other_records"`
	// Found counts the findings, of which the first are kept.
	Found    uint64    `json:"found"`
	Findings []Finding `json:"findings"`
}

// OK says that nothing was found.
func (v *Verification) OK() bool { return v.Found == 0 }

// Verify checks a store: the chain and the marks of every run, and that every other record is what was stored. Hosts may serve
// it meanwhile. Progress may be nil.
func Verify(ctx context.Context, s store.Store, progress func(Progress)) (*Verification, error) {
	s = steadily(s)
	v := &Verification{Findings: []Finding{}}
	report := func(f Finding) error {
		if v.Found++; v.Found <= maxFindings {
			v.Findings = append(v.Findings, f)
		}
		return nil
	}
	var err error
	if v.Verified, err = verifyRuns(ctx, s, report, progress); err != nil {
		return nil, err
	}
	all, err := scopes(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, scope := range all {
		if ofRuns(scope.Collection) {
			continue
		}
		err := s.Scan(ctx, scope.scan(), func(store.Record) error { // its body is checked where it comes in
			v.Records++
			return nil
		})
		if fault.Is(err, fault.Corrupt) {
			err = unreadable(ctx, s, scope, report)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// collect keeps the first findings.
func collect(list *[]Finding) func(Finding) error {
	return func(f Finding) error {
		if len(*list) < maxFindings {
			*list = append(*list, f)
		}
		return nil
	}
}

func ofRuns(collection string) bool { return slices.Contains(runs.Collections(), collection) }

// verifyRuns checks every run of a store.
func verifyRuns(ctx context.Context, s store.Store, report func(Finding) error, progress func(Progress)) (runs.Verified, error) {
	told := map[runs.Finding]bool{} // in the namespace that is verified
	v := runs.NewVerifier(s, func(f runs.Finding) error {
		if told[f] {
			return nil
		}
		if len(told) < maxFindings {
			told[f] = true
		}
		return report(Finding{Tenant: f.Tenant, Namespace: f.Namespace, Run: f.Run, Step: f.Step, Problem: f.Problem})
	})
	if progress != nil {
		v.Progress = func(done runs.Verified) {
			progress(Progress{Doing: "verifying runs", Records: done.Steps, Bytes: done.Bytes, Position: done.Runs})
		}
	}
	all, err := scopes(ctx, s)
	if err != nil {
		return v.Verified, err
	}
	seen := map[Scope]bool{}
	for _, scope := range all {
		of := Scope{Tenant: scope.Tenant, Namespace: scope.Namespace}
		if !ofRuns(scope.Collection) || seen[of] {
			continue
		}
		seen[of] = true
		clear(told)
		before := v.Verified
		err := v.Namespace(ctx, scope.Tenant, scope.Namespace)
		if fault.Is(err, fault.Corrupt) {
			// A record that cannot be read stops a walk, and does not say which it is.
			v.Verified = before
			err = eachRun(ctx, s, scope, func(run []byte) error { return v.Run(ctx, scope.Tenant, scope.Namespace, run) })
		}
		if err != nil {
			return v.Verified, err
		}
	}
	return v.Verified, nil
}

// eachRun finds the runs of a namespace by their keys alone, in the change feed: those that have a head, or a first step and no
// head. A run without either may go unnoticed here, and is found when the records that cannot be read are mended.
func eachRun(ctx context.Context, s store.Store, scope Scope, yield func(run []byte) error) error {
	heads, steps := runs.Collections()[0], runs.Collections()[1]
	return changesNow(ctx, s, 0, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			key := change.Key
			if change.Deleted || key.Tenant != scope.Tenant || key.Namespace != scope.Namespace {
				continue
			}
			switch {
			case key.Collection == heads:
			case key.Collection == steps && len(key.Path) == 2 && len(key.Path[1]) == 8 && binary.BigEndian.Uint64(key.Path[1]) == 1:
				head := store.Key{Collection: heads, Tenant: key.Tenant, Namespace: key.Namespace, Path: key.Path[:1]}
				if record, err := get(ctx, s, head); fault.Is(err, fault.Corrupt) || record.Version > 0 {
					continue // the head is told as well
				} else if err != nil {
					return err
				}
			default:
				continue
			}
			if err := yield(key.Path[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// unreadable finds the records of a scope that are not what was stored.
func unreadable(ctx context.Context, s store.Store, scope Scope, report func(Finding) error) error {
	return changesNow(ctx, s, 0, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			if change.Deleted || scopeOf(change.Key) != scope {
				continue
			}
			_, err := get(ctx, s, change.Key)
			if fault.Is(err, fault.Corrupt) {
				err = report(Finding{Tenant: scope.Tenant, Namespace: scope.Namespace, Record: keyName(change.Key), Problem: "it cannot be read: it is not what was stored"})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
