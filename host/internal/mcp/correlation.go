package mcp

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
)

// The headers of correlation (mcp contract §2.1).
const (
	correlationHeader       = "X-Correlation-Id"
	serverCorrelationHeader = "X-Server-Correlation-Id"
)

// maxCorrelationID is the length in bytes of the longest correlation id of a client.
const maxCorrelationID = 128

// correlationIDs issues the host's own ids: a random name of the process and a counter.
type correlationIDs struct {
	boot    string
	counter atomic.Uint64
}

func newCorrelationIDs() *correlationIDs {
	var boot [8]byte
	_, _ = rand.Read(boot[:]) // never fails
	return &correlationIDs{boot: hex.EncodeToString(boot[:])}
}

func (c *correlationIDs) next() string {
	return fmt.Sprintf("dg-%s-%016x", c.boot, c.counter.Add(1))
}

// headerTokens are the characters of an HTTP token besides letters and digits (RFC 9110 §5.6.2).
const headerTokens = "!#$%&'*+-.^_`|~"

// checkCorrelationID returns the trimmed id, or the label of the first rule that it breaks (mcp contract §2.2). An id that
// went into logs and headers unchecked would let a client forge lines in them.
func checkCorrelationID(raw string) (id, label string) {
	for i := range len(raw) {
		if c := raw[i]; c >= 0x80 || c < 0x20 && c != '\t' || c == 0x7f {
			return "", "non_ascii"
		}
	}
	id = strings.TrimSpace(raw)
	switch {
	case id == "":
		return "", "empty_after_trim"
	case len(id) > maxCorrelationID:
		return "", "too_long"
	case strings.ContainsAny(id, " \t"):
		return "", "contains_whitespace"
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(headerTokens, c) < 0 {
			return "", "contains_disallowed_char"
		}
	}
	return id, ""
}
