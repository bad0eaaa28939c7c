package sdk

import (
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// stderr is the real one: go-plugin replaces os.Stderr by a stream that is lost when the process dies.
var stderr = os.Stderr

// hclogKeys are the names under which a host looks for what slog calls time, level and msg.
var hclogKeys = map[string]string{slog.TimeKey: "@timestamp", slog.LevelKey: "@level", slog.MessageKey: "@message"}

// Logger is the plugin's log: JSON lines on stderr, which the host forwards with their level. The host says which levels
// it keeps.
var Logger = sync.OnceValue(func() *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(os.Getenv(handshake.LogLevelEnv))); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: hclogAttr}))
})

func hclogAttr(groups []string, attr slog.Attr) slog.Attr {
	name, special := hclogKeys[attr.Key]
	if !special || len(groups) > 0 {
		return attr
	}
	if attr.Key == slog.LevelKey {
		return slog.String(name, strings.ToLower(attr.Value.String()))
	}
	attr.Key = name
	return attr
}
