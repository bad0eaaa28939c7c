package dispatch

import (
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var (
	agent    = gate.DispatchTarget{Kind: "agent", AgentID: "a"}
	session  = gate.DispatchTarget{Kind: "session", SessionID: "s"}
	channel  = gate.DispatchTarget{Kind: "channel", Channel: "c"}
	external = gate.DispatchTarget{Kind: "external", System: "jira", Target: "board"}
)

func packet() *gate.PacketEnvelope {
	return &gate.PacketEnvelope{
		ScenarioID: "sc", StageID: "st", PacketID: "p", SchemaID: "sch", ContentType: "text/plain",
		Visibility: gate.VisibilityPolicy{Labels: []string{"public", "eu"}, PolicyTags: []string{"t1", "t2"}},
	}
}

// TestCriteria has each criterion hold, and fail to, on its own.
func TestCriteria(t *testing.T) {
	targets := func(list ...Target) Rule { return Rule{Targets: list} }
	for name, test := range map[string]struct {
		rule   Rule
		target gate.DispatchTarget
		want   bool
	}{
		"nothing":                       {Rule{}, agent, false},
		"empty lists":                   {Rule{TargetKinds: []string{}, Targets: []Target{}, PacketIDs: []string{}}, agent, false},
		"kind":                          {Rule{TargetKinds: []string{"session", "agent"}}, agent, true},
		"other kind":                    {Rule{TargetKinds: []string{"session"}}, agent, false},
		"any agent":                     {targets(Target{Kind: "agent"}), agent, true},
		"agent":                         {targets(Target{Kind: "agent", ID: "a"}), agent, true},
		"other agent":                   {targets(Target{Kind: "agent", ID: "b"}), agent, false},
		"session of an agent's id":      {targets(Target{Kind: "session", ID: "a"}), agent, false},
		"session":                       {targets(Target{Kind: "session", ID: "s"}), session, true},
		"channel":                       {targets(Target{Kind: "channel", ID: "c"}), channel, true},
		"other channel":                 {targets(Target{Kind: "channel", ID: "d"}), channel, false},
		"one of several targets":        {targets(Target{Kind: "channel"}, Target{Kind: "agent"}), agent, true},
		"system":                        {targets(Target{Kind: "external", System: "jira"}), external, true},
		"target of any system":          {targets(Target{Kind: "external", Target: "board"}), external, true},
		"system and target":             {targets(Target{Kind: "external", System: "jira", Target: "board"}), external, true},
		"system and another target":     {targets(Target{Kind: "external", System: "jira", Target: "b"}), external, false},
		"labels required":               {Rule{RequireLabels: []string{"public", "eu"}}, agent, true},
		"one label missing":             {Rule{RequireLabels: []string{"public", "us"}}, agent, false},
		"labels forbidden":              {Rule{ForbidLabels: []string{"us"}}, agent, true},
		"one label forbidden":           {Rule{ForbidLabels: []string{"us", "eu"}}, agent, false},
		"policy tags required":          {Rule{RequirePolicyTags: []string{"t2"}}, agent, true},
		"policy tag missing":            {Rule{RequirePolicyTags: []string{"t2", "t3"}}, agent, false},
		"policy tags forbidden":         {Rule{ForbidPolicyTags: []string{"t3"}}, agent, true},
		"policy tag forbidden":          {Rule{ForbidPolicyTags: []string{"t1"}}, agent, false},
		"content type":                  {Rule{ContentTypes: []string{"text/plain"}}, agent, true},
		"other content type":            {Rule{ContentTypes: []string{"text/html"}}, agent, false},
		"schema":                        {Rule{SchemaIDs: []string{"sch"}}, agent, true},
		"other schema":                  {Rule{SchemaIDs: []string{"x"}}, agent, false},
		"packet":                        {Rule{PacketIDs: []string{"p"}}, agent, true},
		"other packet":                  {Rule{PacketIDs: []string{"P"}}, agent, false},
		"stage":                         {Rule{StageIDs: []string{"st"}}, agent, true},
		"other stage":                   {Rule{StageIDs: []string{"x"}}, agent, false},
		"scenario":                      {Rule{ScenarioIDs: []string{"sc"}}, agent, true},
		"other scenario":                {Rule{ScenarioIDs: []string{"x"}}, agent, false},
		"two criteria that hold":        {Rule{PacketIDs: []string{"p"}, TargetKinds: []string{"agent"}}, agent, true},
		"two criteria of which one not": {Rule{PacketIDs: []string{"p"}, TargetKinds: []string{"channel"}}, agent, false},
	} {
		t.Run(name, func(t *testing.T) {
			test.rule.Effect = Deny
			p := Policy{Default: Permit, Rules: []Rule{test.rule}}
			if permitted, err := p.Authorize(test.target, packet(), nil); err != nil || permitted == test.want {
				t.Errorf("matches: %t, %v", !permitted, err)
			}
		})
	}
}

func TestEffects(t *testing.T) {
	mine, other := []string{"p"}, []string{"q"}
	for name, test := range map[string]struct {
		policy Policy
		want   bool
		err    string
	}{
		"default permit":         {Policy{Default: Permit}, true, ""},
		"default deny":           {Policy{Default: Deny}, false, ""},
		"no default":             {Policy{}, false, ""},
		"unknown effect":         {Policy{Default: Permit, Rules: []Rule{{Effect: "allow", PacketIDs: mine}}}, false, ""},
		"permit":                 {Policy{Default: Deny, Rules: []Rule{{Effect: Permit, PacketIDs: mine}}}, true, ""},
		"error":                  {Policy{Default: Permit, Rules: []Rule{{Effect: Fail, Message: "boom", PacketIDs: mine}}}, false, "boom"},
		"the first one decides":  {Policy{Default: Deny, Rules: []Rule{{Effect: Permit, PacketIDs: mine}, {Effect: Deny, PacketIDs: mine}}}, true, ""},
		"the first that matches": {Policy{Default: Deny, Rules: []Rule{{Effect: Permit, PacketIDs: other}, {Effect: Fail, Message: "x", PacketIDs: mine}}}, false, "x"},
		"none matches":           {Policy{Default: Permit, Rules: []Rule{{Effect: Deny, PacketIDs: other}}}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			permitted, err := test.policy.Authorize(agent, packet(), nil)
			if permitted != test.want || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("%t, %v", permitted, err)
			}
		})
	}
}
