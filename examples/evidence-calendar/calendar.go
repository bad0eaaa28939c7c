package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

//go:embed contract.json
var contract []byte

// calendar is the freezes, by their begin.
type calendar []freeze

type freeze struct {
	Name         string
	From, Until  time.Time
	Environments []string
}

func open(_ context.Context, config json.RawMessage) (evidence.Provider, error) {
	var settings struct{ Freeze []freezeSettings }
	if err := json.Unmarshal(config, &settings); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the config block cannot be read")
	}
	var c calendar
	for _, s := range settings.Freeze {
		f, err := s.freeze()
		if err != nil {
			return nil, err
		}
		c = append(c, f)
	}
	slices.SortStableFunc(c, func(a, b freeze) int { return a.From.Compare(b.From) })
	return c, nil
}

type freezeSettings struct {
	Name, From, Until string
	Environments      []string
}

func (s freezeSettings) freeze() (freeze, error) {
	from, errFrom := time.Parse(time.RFC3339, s.From)
	until, errUntil := time.Parse(time.RFC3339, s.Until)
	switch {
	case s.Name == "":
		return freeze{}, fault.New(fault.Invalid, "a freeze has no name")
	case errFrom != nil || errUntil != nil:
		return freeze{}, fault.New(fault.Invalid, "from and until of freeze %q must be times such as 2026-12-20T00:00:00Z", s.Name)
	case !from.Before(until):
		return freeze{}, fault.New(fault.Invalid, "until of freeze %q must be after from", s.Name)
	}
	return freeze{s.Name, from, until, s.Environments}, nil
}

// Contract implements evidence.Provider.
func (calendar) Contract(context.Context) (json.RawMessage, error) { return contract, nil }

// Close implements evidence.Provider.
func (calendar) Close() error { return nil }

// Query implements evidence.Provider. The SDK has refused checks that the contract does not have, and missing parameters.
func (c calendar) Query(_ context.Context, q evidence.Query, about evidence.Context) (evidence.Result, error) {
	environment, err := environmentOf(q.Params)
	if err != nil {
		return evidence.Result{}, err
	}
	if about.Time.Logical {
		return evidence.Result{Error: &evidence.Error{Code: "logical_time", Message: "a calendar needs a trigger with a date, not a logical time"}}, nil
	}
	now := time.UnixMilli(about.Time.UnixMillis)
	ahead := c.ahead(environment, now)
	holds := ahead != nil && !now.Before(ahead.From)
	result := evidence.Result{Lane: evidence.Verified}
	switch {
	case q.Check == "frozen":
		result, err = evidence.Answer(holds, evidence.Verified)
	case ahead == nil: // no freeze ahead: there is no answer, and "exists" is false
	case holds:
		result, err = evidence.Answer(0, evidence.Verified)
	default:
		result, err = evidence.Answer(int64(ahead.From.Sub(now)/time.Second), evidence.Verified)
	}
	if ahead != nil && (holds || q.Check == "seconds_to_freeze") {
		result.Anchor = &evidence.Anchor{Type: "freeze", Value: ahead.Name}
	}
	return result, err
}

// ahead is the first freeze of an environment that has not ended; nil when there is none.
func (c calendar) ahead(environment string, now time.Time) *freeze {
	for i := range c {
		f := &c[i]
		if now.Before(f.Until) && (f.Environments == nil || slices.Contains(f.Environments, environment)) {
			return f
		}
	}
	return nil
}

// environmentOf reads parameters strictly: a misspelled member is no question about every environment.
func environmentOf(params json.RawMessage) (string, error) {
	var p struct {
		Environment *string `json:"environment"`
	}
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil || p.Environment == nil || *p.Environment == "" {
		return "", fault.New(fault.Invalid, `the params must be an object with the member "environment", a text`)
	}
	return *p.Environment, nil
}
