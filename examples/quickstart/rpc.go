package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// callTime is how long one call may take.
const callTime = 30 * time.Second

// call calls a tool of the host with tools/call and decodes its result: a client in any language is as long as this.
func call(ctx context.Context, url, tool string, arguments, result any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": map[string]any{"name": tool, "arguments": arguments},
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	defer response.Body.Close()
	var answer struct {
		Result struct {
			Content []struct{ JSON json.RawMessage }
		}
		Error *struct {
			Code    int
			Message string
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: HTTP %d, and no JSON: %w", tool, response.StatusCode, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%s is refused: %s (%d)", tool, answer.Error.Message, answer.Error.Code)
	}
	if len(answer.Result.Content) != 1 {
		return fmt.Errorf("%s answers %d results, not one", tool, len(answer.Result.Content))
	}
	return json.Unmarshal(answer.Result.Content[0].JSON, result)
}

// timestamp is a moment as the host takes it. The client says what time it is, so that a decision depends on nothing but
// what is recorded.
type timestamp struct {
	Kind  string `json:"kind"`
	Value int64  `json:"value"`
}

func now() timestamp { return timestamp{"unix_millis", time.Now().UnixMilli()} }
