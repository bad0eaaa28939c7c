// Package gate is the engine of Decision Gate: scenarios of stages, gates as requirement trees over conditions, evidence,
// and the decision whether a run may advance.
//
// It is pure: no I/O, no clock, no goroutine. What a call needs comes in (the head of the run, the trigger, the answers of
// the providers) and what it does goes out (a new head and a step to append), to be saved together. So a decision can be
// derived again, by anyone, from what was recorded.
//
// The package reads like the contract: spec.go and scenario.go are §2, requirement.go is §3, comparator.go, compare.go and
// temporal.go are §4, evidence.go, evaluate.go, settings.go and anchor.go are §5, start.go, decide.go, route.go, packet.go,
// call.go and precheck.go are §6, record.go and run.go are §7.
package gate
