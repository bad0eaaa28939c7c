package remote

import (
	"errors"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// toolResult is the result of a tool call. Only its first item counts, but all must be readable.
type toolResult struct {
	Content []item `member:"content"`
}

type item struct {
	Type itemType            `member:"type"`
	JSON gate.EvidenceResult `member:"json" variant:"json"`
	Text string              `member:"text" variant:"text"`
}

type itemType string

// Names returns the types of items that an answer may have.
func (itemType) Names() []string { return []string{"json", "text"} }

// rpcError is an error of JSON-RPC; its code and data are not looked at.
type rpcError struct {
	Message string `member:"message"`
}

// readAnswer is the evidence in an answer, or what is wrong with it. With anyID the id of the answer is not looked at.
func readAnswer(body []byte, id canonical.Value, anyID bool) (gate.EvidenceResult, error) {
	answer, err := canonical.Parse(body)
	if err != nil || answer.Kind() != canonical.Object {
		return gate.EvidenceResult{}, errResponse
	}
	failure, failed := answer.Member("error")
	failed = failed && !failure.IsNull()
	// An answer to another question would open a gate by evidence about something else.
	if !anyID && !answers(answer, id, failed) {
		return gate.EvidenceResult{}, errID
	}
	if failed {
		return gate.EvidenceResult{}, refusal(failure)
	}
	result, ok := answer.Member("result")
	if !ok || result.IsNull() {
		return gate.EvidenceResult{}, errMissingResult
	}
	return readResult(result)
}

// answers says whether an answer has the id of the question. One that could not read the question has no id to give back,
// and can only be an error.
func answers(answer, id canonical.Value, failed bool) bool {
	have, ok := answer.Member("id")
	if !ok || have.IsNull() {
		return failed
	}
	return canonical.Equal(have, id)
}

func refusal(failure canonical.Value) error {
	var e rpcError
	if canonical.Decode(failure, &e) != nil {
		return errResponse
	}
	return errors.New(shortened(e.Message))
}

func readResult(v canonical.Value) (gate.EvidenceResult, error) {
	var result toolResult
	if canonical.Decode(v, &result) != nil {
		return gate.EvidenceResult{}, errInvalidResult
	}
	if len(result.Content) == 0 {
		return gate.EvidenceResult{}, errEmptyResult
	}
	if first := result.Content[0]; first.Type == "text" {
		return gate.EvidenceResult{}, errors.New("unexpected text response: " + shortened(first.Text))
	}
	return result.Content[0].JSON, nil
}

// shortened keeps a provider from filling the record of a run with a megabyte of error.
func shortened(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	return strings.ToValidUTF8(text[:maxErrorText], "") + "…"
}
