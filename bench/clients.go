package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
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

// client calls tools over connections that it keeps. It is as lean as a client can be, since it shares the processors with what
// it measures: no net/http, and of an answer it looks only at whether it is one.
type client struct {
	address string
	idle    chan *connection
}

type connection struct {
	net.Conn
	in  *bufio.Reader
	out []byte
}

// callTimeout ends a run whose host does not answer.
const callTimeout = time.Minute

func newClient(url string, connections int) *client {
	address, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return &client{address, make(chan *connection, connections)}
}

func (c *client) close() {
	for {
		select {
		case conn := <-c.idle:
			conn.Close()
		default:
			return
		}
	}
}

// call calls a tool and reads its answer.
func (c *client) call(tool, arguments string) (err error) {
	var conn *connection
	select {
	case conn = <-c.idle:
	default:
		dialled, err := net.Dial("tcp", c.address)
		if err != nil {
			return err
		}
		conn = &connection{Conn: dialled, in: bufio.NewReader(dialled)}
	}
	defer func() {
		select {
		case c.idle <- conn:
		default:
			err = errors.Join(err, conn.Close())
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return err
	}
	const before, after = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`, `","arguments":`
	conn.out = fmt.Appendf(conn.out[:0], "POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		c.address, len(before)+len(tool)+len(after)+len(arguments)+len("}}"))
	for _, part := range []string{before, tool, after, arguments, "}}"} {
		conn.out = append(conn.out, part...)
	}
	if _, err := conn.Write(conn.out); err != nil {
		return err
	}
	body, err := conn.answer()
	if err == nil && !bytes.Contains(body, []byte(`"result":{"content":[{"type":"json","json":{`)) {
		err = fmt.Errorf("%s: %s", tool, body)
	}
	return err
}

// answer reads the host's answer: a status line, headers, a body of the length that they tell.
func (c *connection) answer() ([]byte, error) {
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	body := make([]byte, length)
	_, err := io.ReadFull(c.in, body)
	return body, err
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
