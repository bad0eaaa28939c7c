// Command storeplugin serves the journal as a plugin. The embedding program does not need it: the conformance kit does,
// which starts a store as a process, kills it in the middle of commits, and watches its system calls. What it finds of the
// plugin is true of the value.
package main

import (
	"context"
	"encoding/json"
	"runtime/debug"

	"github.com/decision-gate-host/decision-gate-host/examples/embedded/journal"
	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// garbagePercent is how much garbage there may be beside what is kept. All of a journal is, so with Go's 100 the process would
// take twice its size.
const garbagePercent = 25

func main() {
	debug.SetGCPercent(garbagePercent)
	sdk.Serve(sdk.Plugin{
		Name:    "store-journal",
		Version: "0.1.0",
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "path", Type: sdk.String, Required: true, Help: "The journal's file."},
		}},
		OpenStore: func(_ context.Context, config json.RawMessage) (store.Store, error) {
			var settings struct{ Path string }
			if err := json.Unmarshal(config, &settings); err != nil {
				return nil, fault.Wrap(fault.Invalid, err, "the config block cannot be read")
			}
			return journal.Open(settings.Path)
		},
	})
}
