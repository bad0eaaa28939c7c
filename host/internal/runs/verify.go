package runs

import (
	"bytes"
	"context"
	"encoding/hex"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/walk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Collections are those that hold runs, the head's first.
func Collections() []string {
	return []string{headCollection, stepCollection, triggerCollection, submissionCollection, packetCollection}
}

// Finding is something wrong with a run that a store holds.
type Finding struct {
	Tenant    uint64 `json:"tenant"`
	Namespace uint64 `json:"namespace"`
	// Run is the id of the run, or, where no record of it can be read that says it, what its keys hold.
	Run string `json:"run"`
	// Step is the step that is wrong; 0 when it is the run as a whole, or when what is left does not show which.
	Step    uint64 `json:"step,omitempty"`
	Problem string `json:"problem"`
}

// Verified counts what a Verifier has looked at.
type Verified struct {
	Runs  uint64 `json:"runs"`
	Steps uint64 `json:"steps"`
	Bytes uint64 `json:"bytes"`
}

// Verifier checks runs as a store holds them: the chain of steps of each, that the marks by which triggers and submissions are
// found again lead to their steps, and that no step lacks its mark. Hosts may serve the store meanwhile. It takes memory for a
// few pages, however many runs there are and however long they are.
type Verifier struct {
	store     store.Store
	scenarios *registry.Registry
	// Report is told each finding. Its error ends the verification.
	Report func(Finding) error
	// Progress is told of the counts every now and then; nil tells nobody.
	Progress func(Verified)
	Verified
}

// NewVerifier makes a Verifier that tells report.
func NewVerifier(s store.Store, report func(Finding) error) *Verifier {
	return &Verifier{store: s, scenarios: registry.New(s), Report: report}
}

// Namespace verifies the runs of a tenant in a namespace. What is doubtful after the one pass over them is looked at again, run
// by run: a host may have decided in between.
func (v *Verifier) Namespace(ctx context.Context, tenant, namespace uint64) error {
	all := newRecords(ctx, v.store, tenant, namespace, nil)
	for {
		run, err := all.first()
		if err != nil || run == nil {
			return err
		}
		before := v.Verified
		problems, err := v.pass(ctx, all, run)
		if err != nil {
			return err
		}
		if len(problems) > 0 {
			v.Verified = before // it is counted again
			if err := v.Run(ctx, tenant, namespace, run); err != nil {
				return err
			}
		}
		if v.Progress != nil {
			v.Progress(v.Verified)
		}
	}
}

// pass checks the run that the cursors stand before, by what they read, and moves them past it.
func (v *Verifier) pass(ctx context.Context, all *records, run []byte) ([]problem, error) {
	head, err := all.next(headCollection, run)
	if err != nil {
		return nil, err
	}
	if head == nil {
		return []problem{{text: noHead}}, all.skip(run)
	}
	c := &check{run: run, records: all}
	if err := c.all(ctx, *head, v); err != nil {
		return nil, err
	}
	for _, b := range c.beyond {
		c.problems = append(c.problems, b.problem)
	}
	return c.problems, all.skip(run)
}

const noHead = "there are records of the run and no head, without which it is not found"

// Run verifies one run, by the segment that its keys begin with. Its head is read first: the steps that it counts were
// committed with it or before, and never change, so that they must be there whatever hosts do meanwhile.
func (v *Verifier) Run(ctx context.Context, tenant, namespace uint64, run []byte) error {
	key := store.Key{Collection: headCollection, Tenant: tenant, Namespace: namespace, Path: [][]byte{run}}
	name := segmentName(run)
	tell := func(problems []problem) error {
		for _, p := range problems {
			if err := v.Report(Finding{Tenant: tenant, Namespace: namespace, Run: name, Step: p.step, Problem: p.text}); err != nil {
				return err
			}
		}
		return nil
	}
	head, err := v.store.Get(ctx, []store.Key{key})
	if err != nil {
		return corruptIs(err, func() error { return tell([]problem{{text: "the head: " + err.Error()}}) })
	}
	rest := newRecords(ctx, v.store, tenant, namespace, run)
	if head[0].Version == 0 {
		left, err := rest.first()
		if err != nil || left == nil {
			return err // the run was removed meanwhile
		}
		return tell([]problem{{text: noHead}})
	}
	c := &check{run: run, records: rest, alone: true}
	err = c.all(ctx, head[0], v)
	if c.head.Head.RunID != "" {
		name = string(c.head.Head.RunID)
	}
	if err != nil {
		return corruptIs(err, func() error {
			step, err := v.corruptStep(ctx, tenant, namespace, run, c.head.Steps)
			if err != nil {
				return err
			}
			return tell([]problem{{step, "a record cannot be read: it is not what was stored"}})
		})
	}
	if len(c.problems)+len(c.beyond) == 0 {
		return nil
	}
	// A host may have gone on since the head was read, or removed the run. What is beyond it must be known to the head of now.
	if head, err = v.store.Get(ctx, []store.Key{key}); err != nil || head[0].Version == 0 {
		return err
	}
	var now storedHead
	decoded := persist.Decode(head[0], &now) == nil
	for _, b := range c.beyond {
		if !decoded || !b.known(&now) {
			c.problems = append(c.problems, b.problem)
		}
	}
	return tell(c.problems)
}

// corruptIs has a record that is not what was stored told, which is a finding and no failure.
func corruptIs(err error, then func() error) error {
	if !fault.Is(err, fault.Corrupt) {
		return err
	}
	return then()
}

// corruptStep finds the first step that cannot be read, 0 when it is another record. It reads them one by one: a store need
// not say which record of a page was changed.
func (v *Verifier) corruptStep(ctx context.Context, tenant, namespace uint64, run []byte, steps uint64) (uint64, error) {
	for n := uint64(1); n <= steps; n++ {
		key := store.Key{Collection: stepCollection, Tenant: tenant, Namespace: namespace, Path: [][]byte{run, store.Uint64Segment(n)}}
		if _, err := v.store.Get(ctx, []store.Key{key}); fault.Is(err, fault.Corrupt) {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// segmentName shows a path segment that stands for an id.
func segmentName(segment []byte) string {
	if utf8.Valid(segment) {
		return string(segment)
	}
	return "sha256:" + hex.EncodeToString(segment[1:])
}

// records are cursors over the collections of runs, side by side.
type records struct {
	cursors map[string]*walk.Cursor
}

// newRecords is before the first record of a namespace, or of one run of it.
func newRecords(ctx context.Context, s store.Store, tenant, namespace uint64, run []byte) *records {
	r := &records{map[string]*walk.Cursor{}}
	for _, collection := range Collections() {
		scan := store.Scan{Collection: collection, Tenant: tenant, Namespace: namespace}
		if run != nil {
			scan.Prefix = [][]byte{run}
		}
		r.cursors[collection] = walk.New(ctx, s, scan)
	}
	return r
}

// first is the first run that any of the cursors stands before, nil at the end.
func (r *records) first() (run []byte, err error) {
	for _, collection := range Collections() {
		record, err := r.cursors[collection].Peek()
		if err != nil {
			return nil, err
		}
		if record != nil && (run == nil || bytes.Compare(record.Key.Path[0], run) < 0) {
			run = record.Key.Path[0]
		}
	}
	return run, nil
}

// next takes the next record of the run from a collection, nil when there is none.
func (r *records) next(collection string, run []byte) (*store.Record, error) {
	cursor := r.cursors[collection]
	record, err := cursor.Peek()
	if err != nil || record == nil || !bytes.Equal(record.Key.Path[0], run) {
		return nil, err
	}
	cursor.Next()
	return record, nil
}

// skip moves all cursors past a run.
func (r *records) skip(run []byte) error {
	for _, collection := range Collections() {
		for {
			record, err := r.next(collection, run)
			if err != nil {
				return err
			}
			if record == nil {
				break
			}
		}
	}
	return nil
}
