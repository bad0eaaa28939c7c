package modelcontext

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// session is what is known of the client of a request. A modern request brings it along. A legacy one names it: the id that
// initialize answers is random and says itself what the client declared, so that nothing is kept for it, a flood of
// handshakes takes no memory, and a request that reaches another host, or this one after a restart, is served all the same.
// The id is what makes the ids of requests unique: without it, a client could cancel the calls of another.
type session struct {
	revision     string
	capabilities capabilities
	// level is the least severe of levels that is logged to the client.
	level int
	// name scopes the ids of requests; without one no request can be cancelled and the client cannot be asked.
	name string
}

func (s *session) modern() bool { return s.revision >= modern }

// capabilities are those of a client that a server can make use of, as letters in the id of a session.
type capabilities string

var capabilityLetters = []struct {
	name   string
	letter byte
}{{"elicitation", 'e'}, {"roots", 'r'}, {"sampling", 's'}}

func capabilitiesOf(declared canonical.Value) capabilities {
	var letters []byte
	for _, c := range capabilityLetters {
		if v, found := declared.Member(c.name); found && v.Kind() == canonical.Object {
			letters = append(letters, c.letter)
		}
	}
	return capabilities(letters)
}

func (c capabilities) has(name string) bool {
	for _, known := range capabilityLetters {
		if known.name == name {
			return strings.IndexByte(string(c), known.letter) >= 0
		}
	}
	return false
}

// sessionBytes are the random bytes of a session id: as many as nobody guesses.
const sessionBytes = 16

// newSessionID makes the id of a session.
func newSessionID(c capabilities) string {
	var random [sessionBytes]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:]) + "-" + string(c)
}

// parseSessionID reads the id of a session; ok is false for one that no host issued.
func parseSessionID(id string) (c capabilities, ok bool) {
	random, letters, found := strings.Cut(id, "-")
	if raw, err := hex.DecodeString(random); !found || err != nil || len(raw) != sessionBytes {
		return "", false
	}
	rest := letters
	for _, known := range capabilityLetters {
		rest = strings.TrimPrefix(rest, string(known.letter))
	}
	return capabilities(letters), rest == ""
}

// levels are the severities of log messages, least severe first (RFC 5424).
var levels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

const (
	// silent is more than any level.
	silent = 99
	// defaultLevel is that of a legacy client that asked for none: info.
	defaultLevel = 1
)

// maxLevels is how many sessions may have a log level of their own; beyond, another one falls back to the default. That is
// all that a flood of them can do.
const maxLevels = 10_000

// logLevels keeps the level of the sessions that asked for one.
type logLevels struct {
	mu sync.Mutex
	of map[string]int
}

func (l *logLevels) set(session string, level int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.of[session]; !known && len(l.of) >= maxLevels {
		for other := range l.of {
			delete(l.of, other)
			break
		}
	}
	if l.of == nil {
		l.of = map[string]int{}
	}
	l.of[session] = level
}

func (l *logLevels) get(session string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if level, known := l.of[session]; known {
		return level
	}
	return defaultLevel
}
