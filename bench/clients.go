package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// scenario advances for ever, from one stage to another and back; a gate asks four conditions.
const scenario = `{"scenario_id":"loop","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"stages":[` +
	`{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"ga","requirement":` + tree + `}],"advance_to":{"kind":"fixed","stage_id":"b"},"on_timeout":"fail"},` +
	`{"stage_id":"b","entry_packets":[],"gates":[{"gate_id":"gb","requirement":` + tree + `}],"advance_to":{"kind":"fixed","stage_id":"a"},"on_timeout":"fail"}],` +
	`"conditions":[` +
	`{"condition_id":"c1","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c2","query":{"provider_id":"time","check_id":"after","params":{"timestamp":1600000000000}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c3","query":{"provider_id":"time","check_id":"before","params":{"timestamp":9000000000000}},"comparator":"equals","expected":true,"policy_tags":[]},` +
	`{"condition_id":"c4","query":{"provider_id":"time","check_id":"after","params":{"timestamp":9000000000000}},"comparator":"equals","expected":true,"policy_tags":[]}]}`

const tree = `{"And":[{"Condition":"c1"},{"Condition":"c2"},{"Condition":"c3"},{"Not":{"Condition":"c4"}}]}`

// client calls tools over connections that it keeps.
type client struct {
	url  string
	http *http.Client
}

func newClient(url string, connections int) *client {
	return &client{url, &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// call calls a tool and reads its answer as a client would.
func (c *client) call(tool, arguments string) error {
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
	response, err := c.http.Post(c.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Error  *struct{ Message string }
		Result map[string]any
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	if answer.Error != nil || answer.Result == nil {
		return fmt.Errorf("%s: %s", tool, text)
	}
	return nil
}

func (c *client) define() error { return c.call("scenario_define", `{"spec":`+scenario+`}`) }

func (c *client) start(run string) error {
	return c.call("scenario_start", fmt.Sprintf(`{"scenario_id":"loop","run_config":{"tenant_id":1,"namespace_id":1,"run_id":%q,"scenario_id":"loop","dispatch_targets":[],"policy_tags":[]},`+
		`"started_at":{"kind":"unix_millis","value":1710000000000},"issue_entry_packets":false}`, run))
}

func (c *client) next(run, trigger string) error {
	return c.call("scenario_next", fmt.Sprintf(`{"scenario_id":"loop","request":{"run_id":%q,"tenant_id":1,"namespace_id":1,"trigger_id":%q,"agent_id":"agent","time":{"kind":"unix_millis","value":1710000000000}}}`, run, trigger))
}

// randomID is the id of a run or trigger: random, because ordered ids flatter a B-tree.
func randomID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// together calls op from so many clients until it has been called n times, and answers how long each call took. op says
// false when there is nothing more to do.
func together(clients int, op func(client int) (time.Duration, bool, error)) ([]time.Duration, error) {
	took := make([][]time.Duration, clients)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for failed.Load() == nil {
				d, more, err := op(c)
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				if !more {
					return
				}
				took[c] = append(took[c], d)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return slices.Sorted(slices.Values(slices.Concat(took...))), nil
}

// times calls op n times from so many clients.
func times(clients, n int, op func() error) ([]time.Duration, error) {
	var left atomic.Int64
	left.Store(int64(n))
	return together(clients, func(int) (time.Duration, bool, error) {
		if left.Add(-1) < 0 {
			return 0, false, nil
		}
		began := time.Now()
		err := op()
		return time.Since(began), true, err
	})
}
