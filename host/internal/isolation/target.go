package isolation

import "encoding/json"

// target is what a call is about.
type target struct {
	aim               aim
	probe             bool // the same call is made with another id
	tenant, namespace uint64
	scenario          string
	run               *run
	id                string // of a trigger, submission, data shape or page
	version           string
}

func (w *target) scope(more object) object {
	more["tenant_id"], more["namespace_id"] = w.tenant, w.namespace
	return more
}

func (w *target) start(packets bool) object {
	return object{
		"scenario_id": w.scenario, "started_at": moment(early), "issue_entry_packets": packets,
		"run_config": w.scope(object{"run_id": w.run.id, "scenario_id": w.scenario, "dispatch_targets": []any{object{"kind": "agent", "agent_id": w.id}}, "policy_tags": []any{}}),
	}
}

func (w *target) status() object {
	return object{"scenario_id": w.scenario, "request": w.scope(object{"run_id": w.run.id, "requested_at": moment(early), "correlation_id": nil})}
}

func (w *target) next(secret string, at int64) object {
	return object{"scenario_id": w.scenario, "feedback": "evidence", "request": w.scope(object{
		"run_id": w.run.id, "trigger_id": w.id, "agent_id": secret, "time": moment(at), "correlation_id": nil,
	})}
}

func (w *target) trigger(secret string, at int64) object {
	return object{"scenario_id": w.scenario, "trigger": w.scope(object{
		"run_id": w.run.id, "trigger_id": w.id, "kind": "external_event", "time": moment(at), "source_id": secret, "correlation_id": nil,
		"payload": object{"kind": "json", "value": object{"secret": secret}},
	})}
}

func (w *target) submit(secret string) object {
	return object{"scenario_id": w.scenario, "request": w.scope(object{
		"run_id": w.run.id, "submission_id": w.id, "content_type": "text/plain", "submitted_at": moment(early), "correlation_id": nil,
		"payload": object{"kind": "json", "value": []any{secret}},
	})}
}

// export is to a folder, or to the plugin where it is empty.
func (w *target) export(folder string) object {
	a := w.scope(object{"scenario_id": w.scenario, "run_id": w.run.id, "generated_at": moment(early), "include_verification": true})
	if folder != "" {
		a["output_dir"] = folder
	}
	return a
}

func (w *target) evidence() object {
	return object{
		"query": object{"provider_id": "time", "check_id": "after", "params": object{"timestamp": met}},
		"context": w.scope(object{
			"run_id": w.run.id, "scenario_id": w.scenario, "stage_id": "a", "trigger_id": w.id, "trigger_time": moment(early), "correlation_id": nil,
		}),
	}
}

func (w *target) schema() object {
	return w.scope(object{"schema_id": w.id, "version": w.version})
}

// list asks for a page; the cursor is empty for the first.
func (w *target) list(cursor string, limit int) object {
	a := w.scope(object{"limit": limit})
	if cursor != "" {
		a["cursor"] = cursor
	}
	return a
}

// schemaCursor is the token of a page of data shapes, which anybody can make.
func (w *target) schemaCursor() string {
	text, _ := json.Marshal(object{"schema_id": w.id, "version": w.version}) // of texts
	return string(text)
}

// precheck is of the scenario, or of a spec that comes along; word is what the payload tries to guess.
func (w *target) precheck(spec object, payload any) object {
	a := w.scope(object{"data_shape": object{"schema_id": w.id, "version": w.version}, "payload": payload})
	if spec != nil {
		a["spec"] = spec
	} else {
		a["scenario_id"] = w.scenario
	}
	return a
}
