// Package model is a provider that keeps every promise, for the tests of the kit. It asks nobody.
package model

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// ContractJSON is its contract.
//
//go:embed contract.json
var ContractJSON []byte

// Provider is the model.
type Provider struct{ asked atomic.Int64 }

// Contract implements evidence.Provider.
func (*Provider) Contract(context.Context) (json.RawMessage, error) { return ContractJSON, nil }

// Close implements evidence.Provider.
func (*Provider) Close() error { return nil }

// Query implements evidence.Provider.
func (p *Provider) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	if err := ctx.Err(); err != nil {
		return evidence.Result{}, err
	}
	switch q.Check {
	case "echo":
		var params struct{ Value json.RawMessage }
		if err := Decode(q.Params, &params); err != nil {
			return evidence.Result{}, err
		}
		if params.Value == nil {
			return evidence.Result{}, fault.New(fault.Invalid, "echo needs the parameter value")
		}
		return evidence.Result{JSON: params.Value, Lane: evidence.Verified, ContentType: "application/json"}, nil
	case "bytes":
		var params struct{ Text *string }
		if err := Decode(q.Params, &params); err != nil {
			return evidence.Result{}, err
		}
		if params.Text == nil {
			return evidence.Result{}, fault.New(fault.Invalid, "bytes needs the parameter text")
		}
		value := []byte(*params.Text)
		sum := sha256.Sum256(value)
		return evidence.Result{Bytes: value, SHA256: &sum, Lane: evidence.Verified, ContentType: "application/octet-stream"}, nil
	}
	if err := Decode(q.Params, &struct{}{}); err != nil {
		return evidence.Result{}, err
	}
	switch q.Check {
	case "weekday":
		day := time.UnixMilli(c.Time.UnixMillis).UTC()
		r, err := evidence.Answer(day.Weekday().String(), evidence.Verified)
		r.Anchor = &evidence.Anchor{Type: "day", Value: day.Format(time.DateOnly)}
		return r, err
	case "asked":
		return evidence.Answer(p.asked.Add(1), evidence.Asserted)
	default:
		return evidence.Result{}, fault.New(fault.Invalid, "there is no check %.40q", q.Check)
	}
}

// Decode reads parameters into a struct; there may be none.
func Decode(params json.RawMessage, into any) error {
	if params == nil || string(params) == "null" {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(params))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	return fault.New(fault.Invalid, "the parameters are not those of the check")
}
