package isolation

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// client calls in the name of one tenant, one call at a time.
type client struct {
	trial      *trial
	own, other *party
	rng        *rand.Rand
	total      int    // of weights
	surface    string // of the next call; any when it is empty
}

// newClient makes one of the clients; they are the tenants' by turns.
func (t *trial) newClient(number int) *client {
	c := &client{trial: t, own: t.parties[number%2], other: t.parties[1-number%2], rng: rand.New(rand.NewPCG(t.options.Seed, uint64(number)))}
	for _, tool := range tools {
		c.total += tool.weight
	}
	return c
}

// step makes a call, or two where their answers are compared. The first ones of a trial try everything once; all that follow
// are random.
func (c *client) step(ctx context.Context, number int) error {
	chosen := c.choose()
	how := c.aim(chosen)
	switch c.surface = ""; {
	case number <= len(everything):
		e := everything[number-1]
		chosen, how, c.surface = e.tool, e.aim, e.surface
	case number <= len(everything)+len(methods):
		return c.browse(ctx, number-len(everything)-1)
	case c.rng.IntN(100) == 0:
		return c.browse(ctx, c.rng.IntN(len(methods)))
	}
	if how == probing {
		return c.probe(ctx, chosen)
	}
	w := c.target(chosen, how)
	arguments, after := chosen.arguments(c, w)
	made := c.call(chosen, arguments)
	a, err := c.send(ctx, made)
	if err != nil {
		return err
	}
	c.trial.count.add(chosen.name, made.surface, how, a)
	if a.kind == "" && how == own && after != nil {
		after(a)
	}
	if c.scan(ctx, made, a, how) {
		return nil
	}
	if what := c.judge(chosen, how, a); what != "" {
		c.trial.found(Finding{
			What: what, Tool: chosen.name, Surface: made.surface, Aim: aimNames[how], Request: string(made.body()), Response: clip(a.body),
		})
	}
	return nil
}

// judge says what is wrong with an answer that leaks nothing; empty when nothing is.
func (c *client) judge(of *tool, how aim, a *answer) string {
	good := a.kind == ""
	switch {
	case good && !c.trial.options.Substitutes && (of.must && (how == theirs || how == guessed) || of.borrow && how == borrowed):
		return "a call succeeds that is about what another tenant has"
	case !good && !a.retryable && how == own && of.sure:
		return refusedOwn
	case good && how == own && of.name == "schemas_get" && !bytes.Contains(a.body, []byte(c.own.canary)):
		return "a tenant's own id leads to what is not its own"
	}
	return ""
}

func (c *client) choose() *tool {
	n := c.rng.IntN(c.total)
	for _, tool := range tools {
		if n -= tool.weight; n < 0 {
			return tool
		}
	}
	return tools[0]
}

// aim is mostly the tenant's own work: nothing is found in a host that has nothing.
func (c *client) aim(of *tool) aim {
	if !of.scoped && !of.must {
		return own
	}
	switch n := c.rng.IntN(20); {
	case n < 12:
		return own
	case n < 15, n < 17 && of.makes:
		return theirs
	case n < 17:
		return borrowed
	case n < 18:
		return guessed
	default:
		return probing
	}
}

func (c *client) call(of *tool, arguments any) *call {
	surface := []string{rpcSurface, standardSurface}[c.rng.IntN(2)]
	return &call{surface: cmp.Or(c.surface, surface), token: c.own.token, method: "tools/call", tool: of.name, arguments: arguments}
}

func (c *client) send(ctx context.Context, made *call) (*answer, error) {
	return c.trial.door.send(ctx, made)
}

func (c *client) likely() string { return likely[c.rng.IntN(len(likely))] }

// target is what a call with an aim is about.
func (c *client) target(of *tool, how aim) *target {
	w := &target{aim: how, tenant: c.own.tenant, namespace: work, scenario: c.likely(), id: c.likely(), version: "1"}
	switch how {
	case own:
		if c.rng.IntN(12) == 0 {
			w.scenario = sharedScenario
		}
		if w.run = c.own.pickRun(c.rng.IntN(keptRuns)); w.run != nil {
			// A call on a run is of its scenario; tools that start one or have none take another.
			w.scenario = w.run.scenario
			if c.rng.IntN(3) == 0 {
				w.scenario = c.likely()
				w.run = &run{scenario: w.scenario, id: w.run.id} // a run of another scenario, mostly
			}
		}
	case theirs, guessed:
		w.tenant = c.other.tenant
		if how == guessed {
			w.tenant = []uint64{0, 1, c.own.tenant + 1, c.own.tenant ^ 1<<63, c.other.tenant + 1, 1<<64 - 1}[c.rng.IntN(6)]
		}
		if c.rng.IntN(2) == 0 {
			w.aimAt(c.other.only)
		} else if r := c.other.peekRun(c.rng.IntN(keptRuns)); r != nil {
			w.run, w.scenario = r, r.scenario
		}
	case borrowed:
		w.aimAt(c.other.only)
		if c.rng.IntN(2) == 0 && !of.starts { // in a namespace, and of a scenario, that the tenant has
			w.namespace, w.scenario = work, c.likely()
		}
	}
	if w.run == nil {
		w.run = &run{scenario: w.scenario, id: c.likely()}
	}
	return w
}

// aimAt is about everything that is called so in the quiet namespace.
func (w *target) aimAt(id string) {
	w.namespace, w.scenario, w.id, w.run = quiet, id, id, &run{scenario: id, id: id}
}

// runpack is a folder or URI.
func (c *client) runpack(w *target) string {
	n := c.rng.IntN(keptBundles)
	if w.aim == own {
		found := c.own.pick(&c.own.bundles, n)
		if c.rng.IntN(3) == 0 || found == "" {
			found = c.own.pick(&c.own.dirs, n)
		}
		if found == "" {
			found = c.own.onlyURI
		}
		return found
	}
	candidates := []string{
		c.other.onlyURI, c.other.onlyDir, c.other.pick(&c.other.bundles, n), c.other.pick(&c.other.dirs, n), c.other.folder,
		c.own.folder + "/../" + strconv.FormatUint(c.other.tenant, 10) + "/" + c.other.only, c.other.onlyURI + "/", "/", "..",
		strings.Replace(c.other.onlyURI, strconv.FormatUint(c.other.tenant, 10), strconv.FormatUint(c.own.tenant, 10), 1),
	}
	return candidates[c.rng.IntN(len(candidates))]
}

// methods are those that call no tool, with an id that the other tenant has.
var methods = []struct {
	surface, method string
	params          func(id string) any
}{
	{rpcSurface, "tools/list", empty}, {standardSurface, "tools/list", empty},
	{rpcSurface, "resources/list", empty}, {standardSurface, "resources/list", empty},
	{rpcSurface, "resources/read", uri}, {standardSurface, "resources/read", uri},
	{standardSurface, "prompts/list", empty},
	{standardSurface, "prompts/get", func(id string) any {
		return object{"name": "open_gate", "arguments": object{"scenario_id": id, "run_id": id}}
	}},
	{standardSurface, "initialize", func(string) any {
		return object{"protocolVersion": "2025-11-25", "capabilities": object{}, "clientInfo": object{"name": "x", "version": "1"}}
	}},
	{standardSurface, "ping", empty}, {rpcSurface, "no such method", empty},
}

func empty(string) any  { return object{} }
func uri(id string) any { return object{"uri": "decision-gate://docs/" + id} }

// browse asks for something that is no tool.
func (c *client) browse(ctx context.Context, n int) error {
	m := methods[n]
	made := &call{surface: m.surface, token: c.own.token, method: m.method, arguments: m.params(c.other.only)}
	a, err := c.send(ctx, made)
	if err != nil {
		return err
	}
	c.trial.count.add(otherMethods.name, made.surface, own, a)
	c.scan(ctx, made, a, own)
	return nil
}

// leak says what of the other tenant an answer holds that the request does not; empty when it holds nothing.
func (c *client) leak(made *call, a *answer) (form string) {
	everything := append(append(append([]byte{}, a.header...), '\n'), a.body...)
	if _, form := c.other.watch.find(everything); form != "" {
		return form
	}
	for what, text := range map[string]string{
		"tenant's number": strconv.FormatUint(c.other.tenant, 10), "id that nobody else has": c.other.only, "other caller's token": c.other.token,
	} {
		if bytes.Contains(everything, []byte(text)) && !bytes.Contains(made.body(), []byte(text)) {
			return what
		}
	}
	return ""
}

// scan looks for a leak, and makes it a finding.
func (c *client) scan(ctx context.Context, made *call, a *answer, how aim) bool {
	form := c.leak(made, a)
	if form == "" {
		return false
	}
	smaller, shown := c.minimise(ctx, made, a)
	c.trial.found(Finding{
		What: "an answer holds what is another tenant's: " + form, Tool: made.tool, Surface: made.surface, Aim: aimNames[how],
		Request: string(smaller.body()), Response: around(shown.body, form, func(part []byte) bool {
			return c.leak(smaller, &answer{body: part}) != ""
		}),
	})
	return true
}

// maxMinimising is the number of calls that are made to find a smaller one.
const maxMinimising = 60

// minimise drops members of a request for as long as its answer leaks. A call that leaks once, and not when it is repeated,
// is shown as it was.
func (c *client) minimise(ctx context.Context, made *call, a *answer) (*call, *answer) {
	best, shown := made, a
	sent := 0
	leaks := func(arguments any) bool {
		if sent++; sent > maxMinimising {
			return false
		}
		smaller := *made
		smaller.arguments = arguments
		got, err := c.send(ctx, &smaller)
		if err != nil || c.leak(&smaller, got) == "" {
			return false
		}
		best, shown = &smaller, got
		return true
	}
	for changed := true; changed; {
		changed = false
		for _, fewer := range without(best.arguments) {
			if leaks(fewer) {
				changed = true
				break
			}
		}
	}
	return best, shown
}

// without are all copies of a value that lack one member.
func without(v any) (copies []any) {
	members, ok := v.(object)
	if !ok {
		return nil
	}
	for name := range members {
		fewer := object{}
		for other, value := range members {
			if other != name {
				fewer[other] = value
			}
		}
		copies = append(copies, fewer)
		for _, inner := range without(members[name]) {
			changed := object{}
			for other, value := range members {
				changed[other] = value
			}
			changed[name] = inner
			copies = append(copies, changed)
		}
	}
	return copies
}

// maxShown is the number of bytes of an answer that a finding shows.
const maxShown = 2000

func clip(text []byte) string {
	if len(text) <= maxShown {
		return string(text)
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:maxShown], len(text))
}

// peekRun is a run of the party that another one looks at.
func (p *party) peekRun(n int) *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.runs) == 0 {
		return nil
	}
	r := p.runs[n%len(p.runs)]
	return &run{scenario: r.scenario, id: r.id}
}
