// Package client calls the tools of a Decision Gate host: JSON-RPC over HTTP to /rpc, or in Content-Length frames to a program
// that it starts. It speaks to this host and to the open-source server alike.
//
// It trusts nobody on the other end: an answer is bounded in size and depth, a redirect is refused, and the credential goes
// to the server that was named and to no other. It holds no words for people and keeps no state between processes.
package client

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// MaxAnswer is the size in bytes of the largest answer that is read (mcp contract §1.9). Attack stopped: a server that
// answers without end, to fill the memory of whoever asks.
const MaxAnswer = 16 << 20

// Tries of a call that may be repeated. A server that is overloaded says so at once, so a few tries within seconds are
// enough; more would add to its load.
const (
	maxTries  = 4
	firstWait = 200 * time.Millisecond
	// longestWait is the longest that a server may ask for: more is for whoever calls to decide.
	longestWait = 30 * time.Second
)

// Client calls tools, one at a time. It is not safe for concurrent use.
type Client struct {
	peer peer
	id   uint64
}

// peer carries one request and its answer.
type peer interface {
	exchange(ctx context.Context, body []byte) (answer, error)
	io.Closer
}

// answer is what came back before it is read.
type answer struct {
	body []byte
	// status is the HTTP status; 200 where there is none.
	status int
	// server is who answered, and correlation the id under which its log has the call; both may be empty.
	server, correlation string
}

// Close lets go of the connection, or ends the program that was started.
func (c *Client) Close() error { return c.peer.Close() }

// Effect says whether a call may be repeated.
type Effect bool

// The effects. Idempotent calls do nothing twice: they read, or carry an id under which the server knows a repeat.
const (
	Once       Effect = false
	Idempotent Effect = true
)

// Call calls a tool and returns its result as it came. A server that refuses is a *Refusal; one that says that the same call
// may succeed later is asked again a few times, when the call is Idempotent. After any other error the call may have had its
// effect.
func (c *Client) Call(ctx context.Context, tool string, arguments any, effect Effect) (canonical.Value, error) {
	wait := firstWait
	for try := 1; ; try++ {
		result, err := c.once(ctx, tool, arguments)
		refusal, refused := err.(*Refusal)
		if !refused || !refusal.Retryable || effect == Once || try == maxTries {
			return result, err
		}
		pause := max(wait+rand.N(wait), refusal.RetryAfter)
		if deadline, has := ctx.Deadline(); pause > longestWait || has && time.Until(deadline) < pause {
			return result, err // the refusal says more than that time is up
		}
		select {
		case <-ctx.Done():
			return result, err
		case <-time.After(pause):
		}
		wait *= 2
	}
}

type callBody struct {
	Version string     `member:"jsonrpc"`
	ID      uint64     `member:"id"`
	Method  string     `member:"method"`
	Params  callParams `member:"params"`
}

type callParams struct {
	Name      string          `member:"name"`
	Arguments canonical.Value `member:"arguments"`
}

func (c *Client) once(ctx context.Context, tool string, arguments any) (canonical.Value, error) {
	c.id++
	value, err := canonical.Parse(canonical.Append(nil, arguments, canonical.Declared))
	if err != nil {
		return canonical.Value{}, fmt.Errorf("the arguments of %s are no JSON that a server reads: %w", tool, err)
	}
	body := canonical.Append(nil, callBody{"2.0", c.id, "tools/call", callParams{tool, value}}, canonical.Declared)
	a, err := c.peer.exchange(ctx, body)
	if err != nil {
		return canonical.Value{}, err
	}
	return a.read(c.id)
}

// Refusal is the error of a server (mcp contract §2.6).
type Refusal struct {
	Code    int64
	Message string
	// Kind is the stable name of the code; empty where the server gives none.
	Kind       string
	Retryable  bool
	RetryAfter time.Duration
	// Correlation is the id under which the server's log has the call; empty where it gives none.
	Correlation string
	// Body is the error as it came.
	Body canonical.Value
}

func (r *Refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the host refuses: %s", r.Message)
	var notes []string
	if r.Kind != "" {
		notes = append(notes, r.Kind)
	}
	switch {
	case r.Retryable && r.RetryAfter > 0:
		notes = append(notes, fmt.Sprintf("try again in %s", r.RetryAfter))
	case r.Retryable:
		notes = append(notes, "try again later")
	}
	// What the client is not told, the operator finds in the log.
	if r.Kind == "internal" && r.Correlation != "" {
		notes = append(notes, "in the host's log under "+r.Correlation)
	}
	if len(notes) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(notes, "; "))
	}
	return b.String()
}
