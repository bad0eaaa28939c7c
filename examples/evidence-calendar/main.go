// Command evidence-calendar is an evidence plugin that knows when nobody may change production: the freezes that its
// configuration lists. A gate asks it whether one holds, or how long it is until the next.
//
//	plugin "evidence" "calendar" {
//	  command = "evidence-calendar"
//	  config {
//	    freeze {
//	      name  = "year-end"
//	      from  = "2026-12-20T00:00:00Z"
//	      until = "2027-01-04T06:00:00Z"
//	    }
//	  }
//	}
//
// It reads no clock: time is that of the trigger, so that a decision can be checked later. Whoever may send triggers can
// choose it.
package main

import "github.com/decision-gate-host/decision-gate-host/sdk"

func main() { sdk.Serve(plugin) }

var plugin = sdk.Plugin{
	Name:         "evidence-calendar",
	Version:      "0.1.0",
	OpenEvidence: open,
	Config: sdk.ConfigSchema{Blocks: []sdk.Block{{
		Name: "freeze", Repeated: true, Help: "A time in which nothing may be changed.",
		Body: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "name", Type: sdk.String, Required: true, Help: "Name of the freeze, which is the anchor of evidence."},
			{Name: "from", Type: sdk.String, Required: true, Help: "Begin, such as 2026-12-20T00:00:00Z."},
			{Name: "until", Type: sdk.String, Required: true, Help: "End, which is not part of it."},
			{Name: "environments", Type: sdk.StringList, Help: "Environments that it is for; all when absent."},
		}},
	}}},
}
