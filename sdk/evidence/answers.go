package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Answerer answers one check. Parameters are JSON text, nil when there are none.
type Answerer func(ctx context.Context, params json.RawMessage, about Context) (Result, error)

// Answers is a provider made of functions, one for each check of a contract, for plugins without state and settings:
//
//	OpenEvidence: evidence.Answers(contract, map[string]evidence.Answerer{"length": evidence.Ask(length)}),
func Answers(contract []byte, answers map[string]Answerer) func(context.Context, json.RawMessage) (Provider, error) {
	return func(context.Context, json.RawMessage) (Provider, error) { return functions{contract, answers}, nil }
}

// Ask reads the parameters into P before it calls answer. Parameters that are no object, or have members that P does not
// have, are INVALID: a misspelled one is no question about everything. Members that are absent are zero: answer checks those
// that it needs.
func Ask[P any](answer func(ctx context.Context, params P, about Context) (Result, error)) Answerer {
	return func(ctx context.Context, text json.RawMessage, about Context) (Result, error) {
		var params P
		if text != nil {
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&params); err != nil {
				return Result{}, fault.Wrap(fault.Invalid, err, "the params are not an object with the members that the contract lists")
			}
			if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
				return Result{}, fault.New(fault.Invalid, "something follows the params")
			}
		}
		return answer(ctx, params, about)
	}
}

type functions struct {
	contract []byte
	answers  map[string]Answerer
}

func (f functions) Contract(context.Context) (json.RawMessage, error) { return f.contract, nil }

func (f functions) Query(ctx context.Context, q Query, about Context) (Result, error) {
	answer := f.answers[q.Check]
	if answer == nil {
		return Result{}, fault.New(fault.Unimplemented, "the contract has the check %.100s, the plugin no function for it", q.Check)
	}
	return answer(ctx, q.Params, about)
}

func (functions) Close() error { return nil }
