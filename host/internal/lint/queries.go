package lint

import (
	"errors"
	"path"
	"path/filepath"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/jsonpath"
)

// queryRules hold conditions against what their providers can be asked (mcp contract §4.6).
var queryRules = []Rule{
	{
		Code: "query", Severity: Error, Fix: "Ask what the provider's contract offers; its checks are in the answer of provider_contract_get.",
		find: func(s *subject, found report) {
			s.eachCapability(func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError) {
				if refusal.Code != evidence.ProviderMissing {
					found(path+capabilityMembers[refusal.Code], "%s%s", refusal, s.suggestCheck(c, refusal.Code))
				}
			})
		},
	},
	{
		Code: "unanswerable-query", Severity: Warning, Fix: "Name a file beneath the provider's root by a relative path, and select from it with a path that it reads: without an answer nothing is proven.",
		find: findUnanswerable,
	},
	{
		Code: "unknown-provider", Severity: Warning, Fix: "Declare the provider in the host's configuration: a host that does not know it refuses the scenario.",
		find: func(s *subject, found report) {
			s.eachCapability(func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError) {
				if refusal.Code == evidence.ProviderMissing {
					found(path+capabilityMembers[refusal.Code], "provider `%s` is not built in%s", clip(string(c.Query.ProviderID)), s.suggestProvider(c))
				}
			})
		},
	},
	{
		// [P-28]
		Code: "unused-condition", Severity: Warning, Fix: "Name it in a gate, or remove it: it is never asked, and its provider must exist all the same.",
		find: func(s *subject, found report) {
			used := map[gate.ConditionID]bool{}
			s.eachNode(func(_ string, _ int, r gate.Requirement) {
				if r.Kind == gate.Condition {
					used[r.Condition] = true
				}
			})
			s.eachCondition(func(path string, c *gate.ConditionSpec) {
				if !used[c.ConditionID] {
					found(path, "no gate asks for condition `%s`", clip(string(c.ConditionID)))
				}
			})
		},
	},
	{
		// [P-04]
		Code: "trust-no-effect", Severity: Note, Fix: "Remove it, or lower trust.min_lane of the host: a scenario can only ask for more than the host does.",
		find: func(s *subject, found report) {
			note := func(path string, trust *gate.TrustRequirement) {
				if trust != nil && trust.MinLane == gate.Asserted {
					found(path+".trust", "asserted is the weakest lane: it asks for nothing")
				}
			}
			s.eachGate(func(path string, g *gate.GateSpec) { note(path, g.Trust) })
			s.eachCondition(func(path string, c *gate.ConditionSpec) { note(path, c.Trust) })
		},
	},
}

// capabilityMembers are the members that a refusal is about.
var capabilityMembers = map[evidence.Code]string{
	evidence.ProviderMissing:      ".query.provider_id",
	evidence.CheckMissing:         ".query.check_id",
	evidence.ParamsMissing:        ".query",
	evidence.ParamsInvalid:        ".query.params",
	evidence.ExpectedInvalid:      ".expected",
	evidence.ComparatorNotAllowed: ".comparator",
}

func (s *subject) eachCapability(visit func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError)) {
	s.eachCondition(func(path string, c *gate.ConditionSpec) {
		var refusal *evidence.CapabilityError
		if errors.As(s.providers.ValidateCondition(*c), &refusal) {
			visit(path, c, refusal)
		}
	})
}

func (s *subject) suggestProvider(c *gate.ConditionSpec) string {
	var known []gate.ProviderID
	for _, contract := range s.providers.Contracts() {
		known = append(known, contract.ProviderID)
	}
	return suggest(c.Query.ProviderID, known)
}

func (s *subject) suggestCheck(c *gate.ConditionSpec, code evidence.Code) string {
	contract, ok := s.providers.Contract(c.Query.ProviderID)
	if !ok || code != evidence.CheckMissing {
		return ""
	}
	var known []string
	for i := range contract.Checks {
		known = append(known, contract.Checks[i].CheckID)
	}
	return suggest(c.Query.CheckID, known)
}

// findUnanswerable finds what the json provider refuses each time it is asked, while its contract takes any text (contract
// §10.3).
func findUnanswerable(s *subject, found report) {
	s.eachCondition(func(at string, c *gate.ConditionSpec) {
		if c.Query.ProviderID != "json" || c.Query.CheckID != "path" || c.Query.Params == nil {
			return
		}
		for member, wrong := range map[string]func(string) string{"file": wrongFile, "jsonpath": wrongPath} {
			v, _ := c.Query.Params.Member(member)
			text, isText := v.Text()
			if !isText {
				continue
			}
			if what := wrong(text); what != "" {
				found(at+".query.params."+member, "`%s` %s: condition `%s` never has an answer", clip(text), what, clip(string(c.ConditionID)))
			}
		}
	})
}

func wrongFile(file string) string {
	switch clean := path.Clean(file); {
	case path.IsAbs(file) || filepath.IsAbs(file):
		return "is an absolute path, and files are read beneath the root of the provider alone"
	case clean == "..", strings.HasPrefix(clean, "../"):
		return "leads out of the root of the provider"
	case clean == ".":
		return "names no file"
	default:
		return ""
	}
}

func wrongPath(expression string) string {
	if _, err := jsonpath.Compile(expression); err != nil {
		return "is no path that the json provider can read"
	}
	return ""
}
