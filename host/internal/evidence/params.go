package evidence

import (
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// paramsErrors are the texts of one check for parameters that are not what it takes.
type paramsErrors struct {
	absent, notObject, missing, notString error
}

func newParamsErrors(check, missing, notString string) paramsErrors {
	return paramsErrors{
		absent:    errors.New(check + " check requires params"),
		notObject: errors.New(check + " params must be an object"),
		missing:   errors.New(missing),
		notString: errors.New(notString),
	}
}

// member reads a parameter of any type.
func (e paramsErrors) member(q gate.EvidenceQuery, name string) (canonical.Value, error) {
	switch {
	case q.Params == nil || q.Params.IsNull():
		return canonical.Value{}, e.absent
	case q.Params.Kind() != canonical.Object:
		return canonical.Value{}, e.notObject
	}
	v, ok := q.Params.Member(name)
	if !ok {
		return canonical.Value{}, e.missing
	}
	return v, nil
}

// text reads a parameter that must be a string.
func (e paramsErrors) text(q gate.EvidenceQuery, name string) (string, error) {
	v, err := e.member(q, name)
	if err != nil {
		return "", err
	}
	text, ok := v.Text()
	if !ok {
		return "", e.notString
	}
	return text, nil
}

// verified is the result of a built-in provider: a value that this host has seen for itself.
func verified(v canonical.Value, anchor gate.EvidenceAnchor, contentType string) gate.EvidenceResult {
	return gate.EvidenceResult{
		Value:          &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v},
		Lane:           gate.Verified,
		EvidenceAnchor: &anchor,
		ContentType:    &contentType,
	}
}
