// Command runpack-fs is the runpack plugin that keeps bundles in a directory, readable with the tools of the machine:
//
//	tenant/1/namespace/2/scenario/SCENARIO/run/RUN/CONTENT-HASH/bundle.json
//	tenant/1/namespace/2/scenario/SCENARIO/run/RUN/CONTENT-HASH/files/...
//
// It follows no symlink, overwrites nothing and answers no bytes that differ from those that were written. It keeps no
// bundle from whoever may write to the directory: that is the work of an object lock.
package main

import "github.com/decision-gate-host/decision-gate-host/sdk"

var _ sdk.HealthChecker = (*sink)(nil)

// version is set when a release is built.
var version = "0.1.0-dev"

func main() { sdk.Serve(plugin) }

var plugin = sdk.Plugin{
	Name:        "runpack-fs",
	Version:     version,
	OpenRunpack: open,
	Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
		{
			Name: "path", Type: sdk.String, Required: true,
			Help: "Directory that holds the bundles, writable by nobody but its owner. It is made when the directory above it exists.",
		},
		{
			Name: "sweep_after", Type: sdk.Duration, Default: `"24h"`, Minimum: minSweepAfter.String(),
			Help: "Age at which an unfinished bundle, such as one of a killed process, is removed.",
		},
	}},
}
