// Command sink is the kit's model sink as a plugin, which its configuration breaks.
package main

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack/runpacktest/internal/model"
)

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "runpack-model", Version: "1.0.0",
		OpenRunpack: func(_ context.Context, config json.RawMessage) (runpack.Sink, error) {
			var c struct{ Path, Broken string }
			if err := json.Unmarshal(config, &c); err != nil {
				return nil, err
			}
			return &model.Sink{
				Dir: c.Path, NoFileSync: c.Broken == "no file sync", NoDirSync: c.Broken == "no directory sync",
				LateSync: c.Broken == "late sync", DeafSync: c.Broken == "deaf sync", Buffers: c.Broken == "buffers",
			}, nil
		},
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "path", Type: sdk.String, Required: true, Help: "Directory."},
			{Name: "broken", Type: sdk.String, Default: `""`, Help: "What it does wrong."},
		}},
	})
}
