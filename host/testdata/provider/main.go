// Program provider is an evidence provider for tests: it speaks Content-Length frames on its standard input and output, with
// nothing but the standard library, as somebody would write one who has read the documentation alone.
//
//	provider hang           never answers
//	provider value          answers "production"
//	provider sign KEYID     signs its answers for the question, with the key of seed 0x2a…
//	provider replay KEYID   signs all answers for the first question
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

type question struct {
	ID     json.RawMessage
	Params struct {
		Arguments struct {
			Query   map[string]any
			Context map[string]any
		}
	}
}

func main() {
	in := bufio.NewReader(os.Stdin)
	var first *question
	for {
		q, err := read(in)
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if first == nil {
			first = q
		}
		result := map[string]any{"value": map[string]any{"kind": "json", "value": "production"}}
		switch os.Args[1] {
		case "hang":
			continue
		case "sign":
			result["signature"] = sign(q)
		case "replay":
			result["signature"] = sign(first)
		}
		body, _ := json.Marshal(map[string]any{
			"jsonrpc": "2.0", "id": q.ID,
			"result": map[string]any{"content": []any{map[string]any{"type": "json", "json": result}}},
		})
		fmt.Printf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func read(in *bufio.Reader) (*question, error) {
	length := 0
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			if length, err = strconv.Atoi(value); err != nil {
				return nil, err
			}
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, err
	}
	q := &question{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	return q, decoder.Decode(q)
}

// sign makes a bound signature. encoding/json writes maps sorted by name, which is the canonical form here.
func sign(q *question) map[string]any {
	sum := sha256.Sum256([]byte(`"production"`))
	statement := map[string]any{
		"scheme": "ed25519-bound", "provider_id": q.Params.Arguments.Query["provider_id"], "query": q.Params.Arguments.Query,
		"evidence_hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])},
		"value_kind":    "json", "lane": "verified", "evidence_anchor": nil,
	}
	for _, name := range []string{"tenant_id", "namespace_id", "run_id", "scenario_id", "stage_id", "trigger_id", "trigger_time"} {
		statement[name] = q.Params.Arguments.Context[name]
	}
	message, _ := json.Marshal(statement)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x2a}, ed25519.SeedSize))
	var signature []int
	for _, b := range ed25519.Sign(key, message) {
		signature = append(signature, int(b))
	}
	return map[string]any{"scheme": "ed25519-bound", "key_id": os.Args[2], "signature": signature}
}
