package evidence

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// maxConcurrent bounds the questions that one call has under way with one provider: enough that no usual scenario waits, few
// enough that a scenario of thousands of conditions does not open thousands of connections.
const maxConcurrent = 64

// Gather asks all conditions at once, each with its own deadline. An answer that cannot be had costs its condition only.
func (r *Registry) Gather(ctx context.Context, conditions []gate.ConditionSpec, ec gate.EvidenceContext, timeout time.Duration) map[gate.ConditionID]gate.Answer {
	answers := make([]gate.Answer, len(conditions))
	waiting := map[gate.ProviderID][]int{}
	for i := range conditions {
		id := conditions[i].Query.ProviderID
		if !r.immediate(id) {
			waiting[id] = append(waiting[id], i)
			continue
		}
		answers[i].Result, answers[i].Err = r.Query(ctx, conditions[i].Query, ec)
	}
	var done sync.WaitGroup
	for id, asked := range waiting {
		// Attack stopped: a scenario of thousands of conditions on a provider that hangs, which holds a call for an hour.
		last := time.Now().Add(r.patience(id, timeout))
		queue := make(chan int, len(asked))
		for _, i := range asked {
			queue <- i
		}
		close(queue)
		for range min(len(asked), maxConcurrent) {
			done.Go(func() {
				for i := range queue {
					answers[i] = r.gatherOne(ctx, conditions[i].Query, ec, last, timeout)
				}
			})
		}
	}
	done.Wait()
	byID := make(map[gate.ConditionID]gate.Answer, len(conditions))
	for i := range conditions {
		byID[conditions[i].ConditionID] = answers[i]
	}
	return byID
}

// gatherOne asks one condition, unless the provider has had all of the time of one question for those before it.
func (r *Registry) gatherOne(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext, last time.Time, timeout time.Duration) (answer gate.Answer) {
	if !time.Now().Before(last) {
		return gate.Answer{Err: errTimeout}
	}
	ctx, cancel := context.WithTimeout(ctx, r.patience(q.ProviderID, timeout))
	defer cancel()
	answer.Result, answer.Err = r.Query(ctx, q, ec)
	return answer
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
