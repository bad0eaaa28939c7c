package isolation

import "fmt"

// aim is how a call goes about it.
type aim int

const (
	own      aim = iota // what the tenant may do
	theirs              // in the name of the other tenant
	borrowed            // in its own name, with ids that only the other tenant has
	guessed             // in the name of tenants that are nobody's
	probing             // twice, with an id that the other tenant has and with one that nobody has
	aims
)

var aimNames = [aims]string{"own", "theirs", "borrowed", "guessed", "probing"}

// tool is how a tool is called at random. arguments answers also what to do with an answer that succeeded, if anything.
type tool struct {
	name string
	// weight is how often it is called beside the others.
	weight    int
	arguments func(c *client, w *target) (any, func(*answer))
	// scoped tools name a tenant; must says that one in another's name fails: a success is a breach, whatever it answers.
	scoped, must bool
	// borrow says that ids which only the other tenant has cannot succeed.
	borrow bool
	// makes: what it names it makes, so that no id is another's. starts: with a scenario of its own, it makes a run.
	makes, starts bool
	// sure says that a call of a tenant's own always succeeds: one that does not meets what is another's.
	sure bool
}

// tools are all of them. Those that keep most records for ever, and the dear ones, come less often.
var tools = []*tool{
	{name: "scenario_define", weight: 1, arguments: define, scoped: true, must: true, makes: true, sure: true},
	{name: "scenario_start", weight: 7, arguments: start, scoped: true, must: true, borrow: true, starts: true, sure: true},
	{name: "scenario_status", weight: 10, arguments: status, scoped: true, must: true, borrow: true},
	{name: "scenario_next", weight: 14, arguments: next, scoped: true, must: true, borrow: true},
	{name: "scenario_submit", weight: 10, arguments: submit, scoped: true, must: true, borrow: true},
	{name: "scenario_trigger", weight: 10, arguments: trigger, scoped: true, must: true, borrow: true},
	{name: "evidence_query", weight: 5, arguments: evidence, scoped: true, sure: true},
	{name: "runpack_export", weight: 2, arguments: export, scoped: true, must: true, borrow: true},
	{name: "runpack_verify", weight: 4, arguments: verify, must: true, borrow: true},
	{name: "providers_list", weight: 1, arguments: plain(object{}), sure: true},
	{name: "provider_contract_get", weight: 1, arguments: plain(object{"provider_id": "time"}), sure: true},
	{name: "provider_check_schema_get", weight: 1, arguments: plain(object{"provider_id": "time", "check_id": "after"}), sure: true},
	{name: "schemas_register", weight: 1, arguments: register, scoped: true, must: true, makes: true, sure: true},
	{name: "schemas_list", weight: 6, arguments: listSchemas, scoped: true, sure: true},
	{name: "schemas_get", weight: 8, arguments: getSchema, scoped: true, must: true, borrow: true, sure: true},
	{name: "scenarios_list", weight: 6, arguments: listScenarios, scoped: true, sure: true},
	{name: "precheck", weight: 9, arguments: precheck, scoped: true, must: true, borrow: true},
	{name: "decision_gate_docs_search", weight: 1, arguments: search, sure: true},
}

// otherMethods stands for what is no tool: lists of tools, documents and prompts.
var otherMethods = &tool{name: "(other methods)"}

// attempt is a tool, how it is called, and where.
type attempt struct {
	tool    *tool
	aim     aim
	surface string
}

// everything there is to try, some of which a short trial of random calls could miss.
var everything = func() (all []attempt) {
	for how := own; how < aims; how++ {
		for _, t := range tools {
			if t.tries(how) {
				all = append(all, attempt{t, how, rpcSurface}, attempt{t, how, standardSurface})
			}
		}
	}
	return all
}()

// tries says whether a tool is called with an aim.
func (t *tool) tries(how aim) bool {
	return how == own || (t.scoped || t.must) && !(t.makes && how == borrowed)
}

func plain(arguments object) func(*client, *target) (any, func(*answer)) {
	return func(*client, *target) (any, func(*answer)) { return arguments, nil }
}

func search(c *client, w *target) (any, func(*answer)) {
	return object{"query": "tenants " + w.scenario, "max_sections": 2}, nil
}

// numbered is an id that the tenant has not used, and that the other one uses as well.
func (c *client) numbered(id string) string { return fmt.Sprintf("%s#%d", id, c.own.fresh()) }

func define(c *client, w *target) (any, func(*answer)) {
	spec := c.own.spec(c.numbered(w.scenario), w.namespace)
	spec["default_tenant_id"] = w.tenant
	if w.aim == theirs && !w.probe && c.rng.IntN(3) == 0 {
		spec["default_tenant_id"] = nil // what is for all is read by the other tenant, and stands in the place of what it lacks
	}
	if w.probe {
		spec["scenario_id"] = w.scenario
	}
	return object{"spec": spec}, nil
}

func start(c *client, w *target) (any, func(*answer)) {
	if w.aim != own {
		return w.start(true), nil
	}
	r := &run{scenario: w.scenario, id: c.numbered(w.id)}
	w.run = r
	return w.start(c.rng.IntN(2) == 0), func(*answer) { c.own.addRun(r) }
}

func status(_ *client, w *target) (any, func(*answer)) { return w.status(), nil }

// when is a time at which the gate holds, mostly.
func (c *client) when() int64 {
	if c.rng.IntN(25) == 0 {
		return late
	}
	return early
}

func next(c *client, w *target) (any, func(*answer)) {
	c.oftenRepeat(w)
	return w.next(c.own.canary, c.when()), func(*answer) { c.own.addTrigger(w.run, w.id) }
}

func trigger(c *client, w *target) (any, func(*answer)) {
	c.oftenRepeat(w)
	return w.trigger(c.own.canary, c.when()), func(*answer) { c.own.addTrigger(w.run, w.id) }
}

// oftenRepeat takes a trigger that the run has decided on, now and then, or a new one.
func (c *client) oftenRepeat(w *target) {
	switch n := len(w.run.triggers); {
	case w.aim != own:
	case n > 0 && c.rng.IntN(3) == 0:
		w.id = w.run.triggers[c.rng.IntN(n)]
	default:
		w.id = c.numbered(w.id)
	}
}

func submit(c *client, w *target) (any, func(*answer)) {
	if w.aim == own {
		w.id = c.numbered(w.id)
	}
	return w.submit(c.own.canary), nil
}

func evidence(_ *client, w *target) (any, func(*answer)) { return w.evidence(), nil }

func export(c *client, w *target) (any, func(*answer)) {
	if c.rng.IntN(4) > 0 {
		return w.export(""), func(a *answer) { c.own.keep(&c.own.bundles, uriOf(a)) }
	}
	folder := fmt.Sprintf("%s/%d", c.own.folder, c.own.fresh())
	if w.aim != own {
		folder = c.other.folder + "/" + w.id
	}
	return w.export(folder), func(*answer) { c.own.keep(&c.own.dirs, folder) }
}

// verify names a runpack by its folder or its URI, and a file of it.
func verify(c *client, w *target) (any, func(*answer)) {
	manifest := "manifest.json"
	if w.aim != own {
		manifest = []string{"manifest.json", "./manifest.json", "artifacts/decision_log.json", "artifacts/scenario_spec.json", "nothing", "../manifest.json"}[c.rng.IntN(6)]
	}
	return object{"runpack_dir": c.runpack(w), "manifest_path": manifest}, nil
}

func register(c *client, w *target) (any, func(*answer)) {
	version := fmt.Sprint(c.own.fresh())
	if w.probe {
		version = "1"
	}
	arguments := c.own.shape(w.id, version, w.namespace)
	arguments["record"].(object)["tenant_id"] = w.tenant
	return arguments, nil
}

func getSchema(_ *client, w *target) (any, func(*answer)) { return w.schema(), nil }

func listSchemas(c *client, w *target) (any, func(*answer)) {
	cursor := w.schemaCursor()
	if !w.probe && c.rng.IntN(2) == 0 {
		cursor = ""
	}
	return w.list(cursor, 1+c.rng.IntN(5)), nil
}

func listScenarios(c *client, w *target) (any, func(*answer)) {
	cursor := w.scenario
	if !w.probe && c.rng.IntN(2) == 0 {
		cursor = ""
	}
	return w.list(cursor, 1+c.rng.IntN(5)), nil
}

func precheck(c *client, w *target) (any, func(*answer)) {
	var payload any = object{"past": c.rng.IntN(2) == 0}
	if c.rng.IntN(4) == 0 {
		payload = object{"past": true, "word": "a guess"} // which the data shape refuses, and might say why
	}
	if w.aim == own || c.rng.IntN(2) == 0 {
		return w.precheck(nil, payload), nil
	}
	// A spec that comes along, of the caller's own: only the data shape is another's.
	spec := c.own.spec(w.scenario, w.namespace)
	return w.precheck(spec, payload), nil
}
