package runs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// problem is a finding about the run that is being checked.
type problem struct {
	step uint64
	text string
}

// beyond is a record that the head does not count; a later head may know it.
type beyond struct {
	problem
	known func(*storedHead) bool
}

// maxProblems bounds what is told of one run: a run whose every step is wrong is one that is wrong.
const maxProblems = 20

// check is the check of one run.
type check struct {
	run     []byte
	records *records
	// alone: the run is looked at by itself, and what is wrong is to be named.
	alone    bool
	head     storedHead
	problems []problem
	beyond   []beyond
	// counted are the records in the logs of the steps.
	counted gate.Head
	// triggers and submissions are sums over the marks that the steps call for and over those that there are.
	triggers, submissions markSum
}

func (c *check) wrong(step uint64, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, problem{step, fmt.Sprintf(format, args...)})
	}
}

// all checks the run against its head. The error is of the store; what is wrong is in problems.
func (c *check) all(ctx context.Context, head store.Record, v *Verifier) error {
	if err := persist.Decode(head, &c.head); err != nil {
		c.wrong(0, "the head: %v", err)
		return nil
	}
	v.Runs++
	v.Bytes += uint64(len(head.Body))
	h := &c.head.Head
	if !bytes.Equal(store.Segment(string(h.RunID)), c.run) || uint64(h.TenantID) != head.Key.Tenant || uint64(h.NamespaceID) != head.Key.Namespace {
		c.wrong(0, "the head is that of run %q of tenant %d and namespace %d, under another key", h.RunID, h.TenantID, h.NamespaceID)
	}
	if c.head.Removed != nil {
		return nil // what is left of it, if anything, is being removed
	}
	switch _, err := v.scenarios.ForRun(ctx, h.TenantID, h.ScenarioID, h.SpecHash); {
	case err == nil:
	case errors.Is(err, registry.ErrNoScenario):
		c.wrong(0, "there is no scenario %q with the hash %s, with which the run was started", h.ScenarioID, h.SpecHash.Value)
	case fault.Is(err, fault.Corrupt):
		c.wrong(0, "its scenario %q cannot be read: %v", h.ScenarioID, err)
	default:
		return err
	}
	if err := c.steps(v); err != nil {
		return err
	}
	if err := c.marks(triggerCollection, &c.triggers); err != nil {
		return err
	}
	if err := c.marks(submissionCollection, &c.submissions); err != nil {
		return err
	}
	if len(c.problems) == 0 && (c.triggers != markSum{} || c.submissions != markSum{}) {
		c.wrong(0, "its marks do not lead to its steps")
		if c.alone {
			return c.nameMarks(ctx, v.store, head.Key)
		}
	}
	return nil
}

// steps follows the chain of the steps that the head counts.
func (c *check) steps(v *Verifier) error {
	var seen uint64
	chain := ""
	for {
		record, err := c.records.next(stepCollection, c.run)
		if err != nil {
			return err
		}
		if record == nil {
			break
		}
		number, ok := numberOf(record.Key)
		if !ok {
			c.wrong(0, "a step has a key without number")
			continue
		}
		if number > c.head.Steps {
			c.beyond = append(c.beyond, beyond{
				problem{number, fmt.Sprintf("it is stored and the head counts %d steps", c.head.Steps)},
				func(now *storedHead) bool { return now.Steps >= number },
			})
			break // one is enough: the run is passed over from here
		}
		for seen++; seen < number; seen++ {
			c.wrong(seen, "it is missing")
			if len(c.problems) == maxProblems {
				seen = number
				break
			}
		}
		v.Steps++
		v.Bytes += uint64(len(record.Body))
		chain = link(chain, record.Body)
		if err := c.step(number, record); err != nil {
			return err
		}
	}
	if seen < c.head.Steps {
		c.wrong(seen+1, "it is missing: the head counts %d steps", c.head.Steps)
	}
	if len(c.problems) > 0 {
		return nil // what is wrong is known better than by the chain
	}
	h, n := &c.head.Head, &c.counted
	switch {
	case chain != c.head.Chain:
		c.wrong(0, "its chain is broken: steps 1 to %d are not those that were committed", c.head.Steps)
	case n.Triggers != h.Triggers || n.Decisions != h.Decisions || n.Packets != h.Packets || n.ToolCalls != h.ToolCalls:
		c.wrong(0, "the head counts %d triggers, %d decisions, %d packets and %d tool calls; the steps hold %d, %d, %d and %d",
			h.Triggers, h.Decisions, h.Packets, h.ToolCalls, n.Triggers, n.Decisions, n.Packets, n.ToolCalls)
	}
	return nil
}

// numberOf is the number that the second segment of a key is.
func numberOf(key store.Key) (uint64, bool) {
	if len(key.Path) != 2 || len(key.Path[1]) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key.Path[1]), true
}

// step checks what one step holds, and notes the marks that it calls for.
func (c *check) step(number uint64, record *store.Record) error {
	var step storedStep
	if err := persist.Decode(*record, &step); err != nil {
		c.wrong(number, "%v", err)
		return nil
	}
	if step.Number != number {
		c.wrong(number, "it says that it is step %d", step.Number)
	}
	r := &step.Records
	if r.Trigger != nil {
		if c.counted.Triggers++; r.Trigger.Seq != c.counted.Triggers {
			c.wrong(number, "its trigger has the number %d, and is the %d. of the run", r.Trigger.Seq, c.counted.Triggers)
		}
		c.triggers.toggle(store.Segment(string(r.Trigger.Event.TriggerID)), number)
	}
	if r.Decision != nil {
		if c.counted.Decisions++; r.Decision.Seq != c.counted.Decisions {
			c.wrong(number, "its decision has the number %d, and is the %d. of the run", r.Decision.Seq, c.counted.Decisions)
		}
	}
	if r.ToolCall != nil {
		c.counted.ToolCalls++
	}
	if r.Submission != nil {
		c.submissions.toggle(store.Segment(string(r.Submission.SubmissionID)), number)
	}
	if len(r.Packets) == 0 {
		return nil
	}
	err := c.packetEntry(number, r.Packets)
	c.counted.Packets += uint64(len(r.Packets))
	return err
}

// packetEntry compares the packets of a step with their entry in the list of the run's packets.
func (c *check) packetEntry(step uint64, packets []gate.PacketRecord) error {
	record, err := c.records.next(packetCollection, c.run)
	if err != nil {
		return err
	}
	if record == nil {
		c.wrong(step, "its packets are not in the list of the run's packets")
		return nil
	}
	var entry storedPackets
	if err := persist.Decode(*record, &entry); err != nil {
		c.wrong(step, "the list of its packets: %v", err)
		return nil
	}
	first, _ := numberOf(record.Key)
	same := slices.EqualFunc(packets, entry.PacketIDs, func(p gate.PacketRecord, id gate.PacketID) bool { return p.Envelope.PacketID == id })
	if first != c.counted.Packets || !same {
		c.wrong(step, "the list of the run's packets has others for it")
	}
	return nil
}

// markSum is a sum over marks, each by its id and step. The sum over the marks that the steps call for and over those that
// there are is 0 when they are the same marks, in whatever order they come: no list of them has to be kept.
type markSum [sha256.Size]byte

func (s *markSum) toggle(id []byte, step uint64) {
	sum := sha256.Sum256(append(store.Uint64Segment(step), id...))
	for i, b := range sum {
		s[i] ^= b
	}
}

// marks adds the marks of a collection up to the last step that the head counts.
func (c *check) marks(collection string, sum *markSum) error {
	for {
		record, err := c.records.next(collection, c.run)
		if err != nil || record == nil {
			return err
		}
		var mark storedMark
		if err := persist.Decode(*record, &mark); err != nil {
			c.wrong(0, "%v", err)
			continue
		}
		id := record.Key.Path[len(record.Key.Path)-1]
		if mark.Step > c.head.Steps {
			if len(c.beyond) < maxProblems {
				c.beyond = append(c.beyond, beyond{
					problem{0, fmt.Sprintf("the mark of %s leads to step %d, and the head counts %d", markName(collection, id), mark.Step, c.head.Steps)},
					func(now *storedHead) bool { return now.Steps >= mark.Step },
				})
			}
			continue
		}
		sum.toggle(id, mark.Step)
	}
}

func markName(collection string, id []byte) string {
	kind := "trigger"
	if collection == submissionCollection {
		kind = "submission"
	}
	return fmt.Sprintf("%s %q", kind, segmentName(id))
}
