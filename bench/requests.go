package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// scenario advances for ever, from one stage to another and back; a gate asks four conditions.
const scenario = `{"scenario_id":"loop","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":%d,"stages":[` +
	`{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"ga","requirement":` + tree + `}],"advance_to":{"kind":"fixed","stage_id":"b"},"on_timeout":"fail"},` +
	`{"stage_id":"b","entry_packets":[],"gates":[{"gate_id":"gb","requirement":` + tree + `}],"advance_to":{"kind":"fixed","stage_id":"a"},"on_timeout":"fail"}],` +
	`"conditions":[` +
	`{"condition_id":"c1","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c2","query":{"provider_id":"time","check_id":"after","params":{"timestamp":1600000000000}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c3","query":{"provider_id":"time","check_id":"before","params":{"timestamp":9000000000000}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c4","query":{"provider_id":"time","check_id":"after","params":{"timestamp":9000000000000}},"comparator":"equals","expected":true,"policy_tags":[]}]}`

const tree = `{"And":[{"Condition":"c1"},{"Condition":"c2"},{"Condition":"c3"},{"Not":{"Condition":"c4"}}]}`

// request is one call of a tool.
type request struct {
	surface         string // /rpc when empty
	tool, arguments string
}

func define(tenant int) request {
	return request{tool: "scenario_define", arguments: `{"spec":` + fmt.Sprintf(scenario, tenant) + `}`}
}

func start(tenant int, run string) request {
	return request{tool: "scenario_start", arguments: fmt.Sprintf(`{"scenario_id":"loop","run_config":{"tenant_id":%d,"namespace_id":1,"run_id":%q,"scenario_id":"loop","dispatch_targets":[],"policy_tags":[]},`+
		`"started_at":{"kind":"unix_millis","value":1710000000000},"issue_entry_packets":false}`, tenant, run)}
}

func next(tenant int, run, trigger string) request {
	return request{tool: "scenario_next", arguments: fmt.Sprintf(`{"scenario_id":"loop","request":{"run_id":%q,"tenant_id":%d,"namespace_id":1,"trigger_id":%q,"agent_id":"agent","time":{"kind":"unix_millis","value":1710000000000}}}`, run, tenant, trigger)}
}

// randomID is the id of a run or trigger: random, because ordered ids flatter a B-tree.
func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
