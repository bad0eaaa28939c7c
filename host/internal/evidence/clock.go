package evidence

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TimeOptions configure the time provider.
type TimeOptions struct {
	// AllowLogical lets it answer for triggers with logical time.
	AllowLogical bool
}

// timeProvider compares the time of the trigger (contract §10.1). It reads no clock.
type timeProvider struct{ TimeOptions }

var timeParams = newParamsErrors("time", "missing timestamp param", "")

var (
	errTimeCheck        = errors.New("unsupported time check")
	errTimeLogical      = errors.New("logical timestamps are not permitted")
	errTimeNumber       = errors.New("invalid numeric timestamp")
	errTimeRange        = errors.New("timestamp exceeds i64 range")
	errTimeType         = errors.New("timestamp must be number or string")
	errTimeText         = errors.New("invalid rfc3339 timestamp")
	errTimeNotNumeric   = errors.New("logical timestamp must be numeric")
	errTimeNotUnsigned  = errors.New("logical timestamp must be unsigned")
	errTimeTriggerShape = errors.New("trigger time has no kind")
)

// Immediate implements Immediate.
func (timeProvider) Immediate() {}

func (p timeProvider) Query(_ context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	trigger := ec.TriggerTime
	now := canonical.NewInt(trigger.Millis)
	anchor := gate.EvidenceAnchor{AnchorType: "trigger_time_unix_millis", AnchorValue: strconv.FormatInt(trigger.Millis, 10)}
	switch trigger.Kind {
	case gate.UnixMillis:
	case gate.Logical:
		if !p.AllowLogical {
			return gate.EvidenceResult{}, errTimeLogical
		}
		now = canonical.NewUint(trigger.Tick)
		anchor = gate.EvidenceAnchor{AnchorType: "trigger_time_logical", AnchorValue: strconv.FormatUint(trigger.Tick, 10)}
	default:
		return gate.EvidenceResult{}, errTimeTriggerShape
	}
	v := now
	switch q.CheckID {
	case "now":
	case "after", "before":
		order, err := compareTrigger(trigger, q)
		if err != nil {
			return gate.EvidenceResult{}, err
		}
		v = canonical.NewBool(q.CheckID == "after" && order > 0 || q.CheckID == "before" && order < 0)
	default:
		return gate.EvidenceResult{}, errTimeCheck
	}
	return verified(v, anchor, "application/json"), nil
}

// compareTrigger orders the trigger's time and the threshold of the query.
func compareTrigger(trigger gate.Timestamp, q gate.EvidenceQuery) (int, error) {
	threshold, err := timeParams.member(q, "timestamp")
	if err != nil {
		return 0, err
	}
	if trigger.Kind == gate.Logical {
		tick, err := logicalThreshold(threshold)
		return cmp.Compare(trigger.Tick, tick), err
	}
	millis, err := millisThreshold(threshold)
	return cmp.Compare(trigger.Millis, millis), err
}

func logicalThreshold(v canonical.Value) (uint64, error) {
	if !v.IsNumber() {
		return 0, errTimeNotNumeric
	}
	tick, ok := v.Uint()
	if !ok {
		return 0, errTimeNotUnsigned
	}
	return tick, nil
}

func millisThreshold(v canonical.Value) (int64, error) {
	switch v.Kind() {
	case canonical.Unsigned, canonical.Negative:
		millis, ok := v.Int()
		if !ok {
			return 0, errTimeRange
		}
		return millis, nil
	case canonical.Float:
		return 0, errTimeNumber
	case canonical.String:
		text, _ := v.Text()
		t, ok := gate.ParseDateTime(text)
		if !ok {
			return 0, errTimeText
		}
		return truncatedMillis(t.Unix(), int64(t.Nanosecond())), nil
	default:
		return 0, errTimeType
	}
}

// truncatedMillis truncates toward zero, so that half a millisecond before 1970 is 0 and not -1.
func truncatedMillis(seconds, nanos int64) int64 {
	millis := seconds*1000 + nanos/1_000_000
	if millis < 0 && nanos%1_000_000 != 0 {
		millis++
	}
	return millis
}
