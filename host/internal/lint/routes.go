package lint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// routeRules find stages that are left otherwise than they read (contract §6.7, §6.8). Where a stage leads is known
// beforehand: a branch is taken only when all gates of its stage are true, or, after some timeouts, count as unknown.
var routeRules = []Rule{
	{Code: "branch-unknown-gate", Severity: Warning, Fix: "Name a gate of this stage: any other counts as unknown.", find: findForeignGates},
	{
		Code: "branch-never", Severity: Warning,
		Fix:  "Remove the rule, or make two stages of it: rules are tried in order, once all gates of the stage are true.",
		find: findDeadRules,
	},
	{
		Code: "branch-no-match", Severity: Warning, Fix: "Add a default: without a rule that matches, every call fails and nothing is recorded.",
		find: findUnmatched,
	},
	{
		Code: "unreachable-stage", Severity: Warning, Fix: "Lead a stage to it, or remove it.",
		find: func(s *subject, found report) {
			reached := s.reachable()
			s.eachStage(func(path string, i int, stage *gate.StageSpec) {
				if !reached[i] {
					found(path, "no run comes to stage `%s`", clip(string(stage.StageID)))
				}
			})
		},
	},
	{
		Code: "no-exit", Severity: Warning, Fix: "Lead a stage out of the circle: no run of this scenario ever completes.",
		find: func(s *subject, found report) {
			reached := s.reachable()
			for i := range reached {
				// A stage that is named and is not there has its own finding.
				if s.ends(i) || len(s.successors(i)) == 0 {
					return
				}
			}
			if len(reached) > 0 {
				found("stages", "from the first stage no last one is reached")
			}
		},
	},
	{
		Code: "stage-without-gates", Severity: Warning, Fix: "Add a gate, or merge the stage: the next call of any kind leaves it, with no evidence.",
		find: func(s *subject, found report) {
			s.eachStage(func(path string, i int, stage *gate.StageSpec) {
				if len(stage.Gates) == 0 && !s.ends(i) {
					found(path+".gates", "stage `%s` has no gates", clip(string(stage.StageID)))
				}
			})
		},
	},
	{
		Code: "timeout-absent", Severity: Warning, Fix: `Add a timeout, or set on_timeout to "fail".`,
		find: eachTimeout(func(path string, stage *gate.StageSpec, _ bool, found report) {
			if stage.Timeout == nil && stage.OnTimeout != gate.FailOnTimeout {
				found(path+".on_timeout", "on_timeout is %s, and there is no timeout", stage.OnTimeout)
			}
		}),
	},
	{
		Code: "timeout-passes-gates", Severity: Warning, Fix: `Set on_timeout to "fail" unless a run may go on without evidence.`,
		find: eachTimeout(func(path string, stage *gate.StageSpec, _ bool, found report) {
			if stage.Timeout != nil && stage.OnTimeout != gate.FailOnTimeout && len(stage.Gates) > 0 {
				found(path+".on_timeout", "after the timeout a tick leaves the stage although no gate is true")
			}
		}),
	},
	{
		// [P-11]
		Code: "timeout-completes", Severity: Warning, Fix: `Set on_timeout to "fail", or add a stage for runs that are late.`,
		find: eachTimeout(func(path string, stage *gate.StageSpec, last bool, found report) {
			if stage.Timeout != nil && stage.OnTimeout != gate.FailOnTimeout && last {
				found(path+".on_timeout", "the timeout of a last stage completes the run, with nothing that tells it from success")
			}
		}),
	},
	{
		// [P-10]
		Code: "timeout-no-branch", Severity: Warning, Fix: `Say "advance_with_flag", which does the same, or branch.`,
		find: eachTimeout(func(path string, stage *gate.StageSpec, _ bool, found report) {
			if stage.Timeout != nil && stage.OnTimeout == gate.AlternateBranch && stage.AdvanceTo.Kind != gate.Branch {
				found(path+".on_timeout", "alternate_branch, and the stage has no branches")
			}
		}),
	},
	{
		Code: "timeout-out-of-range", Severity: Warning, Fix: "Set timeout_ms between 1 and 9223372036854775807.",
		find: eachTimeout(func(path string, stage *gate.StageSpec, _ bool, found report) {
			switch {
			case stage.Timeout == nil:
			case stage.Timeout.TimeoutMS == 0:
				found(path+".timeout.timeout_ms", "the first tick finds the stage overdue")
			case stage.Timeout.TimeoutMS > math.MaxInt64:
				found(path+".timeout.timeout_ms", "every tick fails: the time is out of range")
			}
		}),
	},
	{
		Code: "timeout-needs-ticks", Severity: Note, Fix: `Send triggers of kind "tick": no other call, and no clock, looks at timeouts.`,
		find: eachTimeout(func(path string, stage *gate.StageSpec, _ bool, found report) {
			if stage.Timeout != nil {
				found(path+".timeout", "the timeout of stage `%s` is seen by ticks only", clip(string(stage.StageID)))
			}
		}),
	},
	{
		// [P-08]
		Code: "reserved-trigger", Severity: Note, Fix: "Use other trigger ids: when a run starts with its entry packets, `init` is answered with the start.",
		find: func(s *subject, found report) {
			if len(s.spec.Stages) > 0 && len(s.spec.Stages[0].EntryPackets) > 0 {
				found("stages[0].entry_packets", "the trigger id `init` is taken")
			}
		},
	},
}

func eachTimeout(check func(path string, stage *gate.StageSpec, last bool, found report)) func(*subject, report) {
	return func(s *subject, found report) {
		s.eachStage(func(path string, i int, stage *gate.StageSpec) { check(path, stage, s.ends(i), found) })
	}
}

// ends reports whether a run completes in a stage.
func (s *subject) ends(i int) bool {
	switch s.spec.Stages[i].AdvanceTo.Kind {
	case gate.Terminal:
		return true
	case gate.Linear:
		return i+1 == len(s.spec.Stages)
	default:
		return false
	}
}

// defaultRoute stands for the default of a branch, and noRoute for none, among the indexes of its rules.
const (
	defaultRoute = -1
	noRoute      = -2
)

// truths are what the gates of a stage count as when it is left: true, and unknown after an alternate_branch timeout.
func truths(stage *gate.StageSpec) []gate.Truth {
	if stage.Timeout != nil && stage.OnTimeout == gate.AlternateBranch {
		return []gate.Truth{gate.True, gate.Unknown}
	}
	return []gate.Truth{gate.True}
}

// route is the rule that is taken when all gates of the stage count as truth.
func route(stage *gate.StageSpec, truth gate.Truth) int {
	for i, rule := range stage.AdvanceTo.Branches {
		status := gate.Unknown
		if hasGate(stage, rule.GateID) {
			status = truth
		}
		if strings.EqualFold(string(status), string(rule.Outcome)) {
			return i
		}
	}
	if stage.AdvanceTo.Default != nil {
		return defaultRoute
	}
	return noRoute
}

func hasGate(stage *gate.StageSpec, id gate.GateID) bool {
	return slices.ContainsFunc(stage.Gates, func(g gate.GateSpec) bool { return g.GateID == id })
}

// routes are the rules of a stage that can be taken at all.
func routes(stage *gate.StageSpec) map[int]bool {
	taken := map[int]bool{}
	for _, truth := range truths(stage) {
		taken[route(stage, truth)] = true
	}
	return taken
}

func (s *subject) eachBranch(visit func(path string, stage *gate.StageSpec)) {
	s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
		if stage.AdvanceTo.Kind == gate.Branch {
			visit(path+".advance_to", stage)
		}
	})
}

// findForeignGates is [F-12].
func findForeignGates(s *subject, found report) {
	s.eachBranch(func(path string, stage *gate.StageSpec) {
		var own []gate.GateID
		for _, g := range stage.Gates {
			own = append(own, g.GateID)
		}
		for i, rule := range stage.AdvanceTo.Branches {
			if slices.Contains(own, rule.GateID) {
				continue
			}
			where := suggest(rule.GateID, own)
			if home, elsewhere := s.homes[rule.GateID]; elsewhere {
				where = fmt.Sprintf(": it is one of stage `%s`", clip(string(home)))
			}
			found(fmt.Sprintf("%s.branches[%d].gate_id", path, i), "this stage has no gate `%s`%s", clip(string(rule.GateID)), where)
		}
	})
}

// findDeadRules is [P-09].
func findDeadRules(s *subject, found report) {
	s.eachBranch(func(path string, stage *gate.StageSpec) {
		taken := routes(stage)
		for i, rule := range stage.AdvanceTo.Branches {
			if !taken[i] {
				found(fmt.Sprintf("%s.branches[%d]", path, i), "%s", whyNever(stage, rule, i))
			}
		}
		if stage.AdvanceTo.Default != nil && !taken[defaultRoute] {
			found(path+".default", "the default is never taken: a rule before it always is")
		}
	})
}

func whyNever(stage *gate.StageSpec, rule gate.BranchRule, i int) string {
	known := hasGate(stage, rule.GateID)
	for _, truth := range truths(stage) {
		if !known {
			truth = gate.Unknown
		}
		if strings.EqualFold(string(truth), string(rule.Outcome)) {
			return fmt.Sprintf("rule %d is never taken: one before it always is", i+1)
		}
	}
	switch {
	case !known:
		return fmt.Sprintf("rule %d is never taken: a gate that the stage does not have is always unknown", i+1)
	case rule.Outcome == "unknown":
		return fmt.Sprintf("rule %d is never taken: gates count as unknown only after a timeout with alternate_branch", i+1)
	default:
		return fmt.Sprintf("rule %d is never taken: a stage is not left while a gate is false", i+1)
	}
}

func findUnmatched(s *subject, found report) {
	s.eachBranch(func(path string, stage *gate.StageSpec) {
		for _, truth := range truths(stage) {
			if route(stage, truth) == noRoute {
				found(path, "no rule matches when all gates are %s", strings.ToLower(string(truth)))
			}
		}
	})
}

// reachable are the stages that some run comes to, by index.
func (s *subject) reachable() map[int]bool {
	reached := map[int]bool{}
	if len(s.spec.Stages) == 0 {
		return reached
	}
	for queue := []int{0}; len(queue) > 0; {
		i := queue[0]
		queue = queue[1:]
		if reached[i] {
			continue
		}
		reached[i] = true
		queue = append(queue, s.successors(i)...)
	}
	return reached
}

func (s *subject) successors(i int) []int {
	stage := &s.spec.Stages[i]
	var targets []gate.StageID
	switch to := &stage.AdvanceTo; to.Kind {
	case gate.Linear:
		if !s.ends(i) {
			return []int{i + 1}
		}
	case gate.Fixed:
		targets = []gate.StageID{to.StageID}
	case gate.Branch:
		for rule := range routes(stage) {
			switch {
			case rule >= 0:
				targets = append(targets, to.Branches[rule].NextStageID)
			case rule == defaultRoute:
				targets = append(targets, *to.Default)
			}
		}
	}
	var next []int
	for _, id := range targets {
		if j, ok := s.stages[id]; ok {
			next = append(next, j)
		}
	}
	return next
}
