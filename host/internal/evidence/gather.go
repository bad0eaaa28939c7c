package evidence

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// maxConcurrent bounds the questions that one call has under way: enough that no usual scenario waits, few enough that a
// scenario of thousands of conditions does not open thousands of connections.
const maxConcurrent = 64

// Gather asks all conditions at once, each with its own deadline. An answer that cannot be had costs its condition only.
func (r *Registry) Gather(ctx context.Context, conditions []gate.ConditionSpec, ec gate.EvidenceContext, timeout time.Duration) map[gate.ConditionID]gate.Answer {
	answers := make([]gate.Answer, len(conditions))
	slots := make(chan struct{}, maxConcurrent)
	var done sync.WaitGroup
	for i := range conditions {
		if r.immediate(conditions[i].Query.ProviderID) {
			answers[i].Result, answers[i].Err = r.Query(ctx, conditions[i].Query, ec)
			continue
		}
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, r.patience(conditions[i].Query.ProviderID, timeout))
			defer cancel()
			answers[i].Result, answers[i].Err = r.Query(ctx, conditions[i].Query, ec)
		})
	}
	done.Wait()
	byID := make(map[gate.ConditionID]gate.Answer, len(conditions))
	for i := range conditions {
		byID[conditions[i].ConditionID] = answers[i]
	}
	return byID
}

// Settle is what evidence_query answers with (mcp contract §4.13): a failure as an error in the result, nothing beside an
// error that could be taken for evidence, and the hash of the value when the provider gave none. A value that is too large
// to be hashed is an error too.
func Settle(answer gate.Answer) gate.EvidenceResult {
	result := answer.Result
	if answer.Err != nil {
		result = gate.EvidenceResult{Error: &gate.EvidenceError{Code: "provider_error", Message: "evidence provider error: " + answer.Err.Error()}}
	}
	if result.Lane == "" {
		result.Lane = gate.Verified
	}
	if result.Error == nil && result.Value != nil && result.EvidenceHash == nil {
		hash, err := result.Value.Hash()
		if err != nil {
			result.Error = &gate.EvidenceError{Code: "provider_error", Message: "evidence provider error: " + err.Error()}
		} else {
			result.EvidenceHash = &hash
		}
	}
	if result.Error != nil {
		result.Value, result.EvidenceHash, result.ContentType = nil, nil, nil
	}
	return result
}

// maxCorrelation is the length in bytes of the longest correlation id (mcp contract §2.2).
const maxCorrelation = 128

// correlationMarks are the characters of a correlation id beside letters and digits. An id is handed to providers as a
// header: a line break in it would be a header of the caller's.
const correlationMarks = "!#$%&'*+-.^_`|~"

func validCorrelation(id string) bool {
	id = strings.TrimSpace(id)
	if id == "" || len(id) > maxCorrelation {
		return false
	}
	for _, c := range id {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(correlationMarks, c) {
			return false
		}
	}
	return true
}
