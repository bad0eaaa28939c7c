package runs

import (
	"bytes"
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// nameMarks finds the marks that do not fit their steps. It reads the run's steps and marks once more, one by one: only a run
// whose marks are known to be wrong costs that.
func (c *check) nameMarks(ctx context.Context, s store.Store, head store.Key) error {
	at := func(collection string, path ...[]byte) (store.Record, error) {
		key := store.Key{Collection: collection, Tenant: head.Tenant, Namespace: head.Namespace, Path: append([][]byte{c.run}, path...)}
		records, err := s.Get(ctx, []store.Key{key})
		if err != nil {
			return store.Record{}, err
		}
		return records[0], nil
	}
	for n := uint64(1); n <= c.head.Steps && len(c.problems) < maxProblems; n++ {
		record, err := at(stepCollection, store.Uint64Segment(n))
		if err != nil {
			return err
		}
		var step storedStep
		if record.Version == 0 || persist.Decode(record, &step) != nil {
			continue // told already
		}
		for collection, id := range marksOf(&step.Records) {
			record, err := at(collection, id)
			if err != nil {
				return err
			}
			var mark storedMark
			switch {
			case record.Version == 0:
				c.wrong(n, "its %s has no mark: a repeat would be decided again", markName(collection, id))
			case persist.Decode(record, &mark) == nil && mark.Step != n:
				c.wrong(n, "the mark of its %s leads to step %d", markName(collection, id), mark.Step)
			}
		}
	}
	for _, collection := range []string{triggerCollection, submissionCollection} {
		if err := c.strayMarks(ctx, s, head, collection, at); err != nil {
			return err
		}
	}
	if len(c.problems) > 1 {
		c.problems = c.problems[1:] // which says only that there is something
	}
	return nil
}

// strayMarks finds marks that lead to steps which call for no such mark.
func (c *check) strayMarks(ctx context.Context, s store.Store, head store.Key, collection string, at func(string, ...[]byte) (store.Record, error)) error {
	scan := store.Scan{Collection: collection, Tenant: head.Tenant, Namespace: head.Namespace, Prefix: [][]byte{c.run}}
	return s.Scan(ctx, scan, func(record store.Record) error {
		var mark storedMark
		if persist.Decode(record, &mark) != nil || mark.Step > c.head.Steps {
			return nil // told already
		}
		id := record.Key.Path[len(record.Key.Path)-1]
		target, err := at(stepCollection, store.Uint64Segment(mark.Step))
		if err != nil {
			return err
		}
		var step storedStep
		if target.Version > 0 && persist.Decode(target, &step) == nil && bytes.Equal(marksOf(&step.Records)[collection], id) {
			return nil
		}
		c.wrong(mark.Step, "the mark of %s leads to it, which is none of it", markName(collection, id))
		return nil
	})
}

// marksOf are the marks that a step calls for: the last segment of their keys, by collection.
func marksOf(step *gate.Step) map[string][]byte {
	marks := map[string][]byte{}
	if step.Trigger != nil {
		marks[triggerCollection] = store.Segment(string(step.Trigger.Event.TriggerID))
	}
	if step.Submission != nil {
		marks[submissionCollection] = store.Segment(string(step.Submission.SubmissionID))
	}
	return marks
}
