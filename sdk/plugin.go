// Package sdk is everything that a plugin author imports: Serve makes a plugin of a Go value, and the folders store,
// runpack, evidence and auth hold the interface of each kind with its conformance kit.
//
//	func main() {
//		sdk.Serve(sdk.Plugin{Name: "store-mine", Version: "1.0.0", OpenStore: open})
//	}
package sdk

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Plugin describes a plugin. Exactly one of OpenStore, OpenRunpack, OpenEvidence and OpenAuth is set; it makes the plugin's kind.
type Plugin struct {
	// Name is the plugin's lower-case name, by convention KIND-BACKEND, such as "store-sqlite".
	Name string
	// Version is the semantic version of the plugin.
	Version string
	// Capabilities are names of what the plugin does beyond the minimum of its kind. A store names "changes" when it follows
	// changes that other processes make: then two processes may use its data at a time, and a host can replace one by the
	// other without a call that fails. Plugins of other kinds must allow that.
	Capabilities []string
	// Config says what the "config" body of the plugin's HCL block may hold.
	Config ConfigSchema
	// OpenStore opens a store with the evaluated config body, one JSON object in which absent attributes have their
	// defaults. A refusal is fault.Invalid and names the attribute. The context ends when opening has ended.
	OpenStore func(ctx context.Context, config json.RawMessage) (store.Store, error)
	// OpenRunpack opens a runpack sink likewise.
	OpenRunpack func(ctx context.Context, config json.RawMessage) (runpack.Sink, error)
	// OpenEvidence opens an evidence provider likewise. It should not wait for what the provider will ask: a host starts only
	// when all of its plugins have opened.
	OpenEvidence func(ctx context.Context, config json.RawMessage) (evidence.Provider, error)
	// OpenAuth opens an authenticator likewise. It should not wait for an identity provider: what it does not know yet is
	// fault.Unavailable when it is asked for.
	OpenAuth func(ctx context.Context, config json.RawMessage) (auth.Authenticator, error)
}

// ConfigSchema lets the host check a configuration with file, line and column before the plugin runs, and hide secrets.
type ConfigSchema struct {
	Attributes []Attribute
	Blocks     []Block
}

// AttributeType is the type of a configuration attribute.
type AttributeType string

// The types of attributes.
const (
	String     AttributeType = "string"
	Integer    AttributeType = "integer"
	Number     AttributeType = "number"
	Bool       AttributeType = "bool"
	StringList AttributeType = "list(string)"
	// Duration is a Go duration such as "250ms", handed over as that string.
	Duration AttributeType = "duration"
)

// Attribute is one setting.
type Attribute struct {
	Name     string
	Type     AttributeType
	Required bool
	// Default is the value of an absent attribute as JSON text; empty when there is none.
	Default string
	// Help is one sentence with the unit.
	Help string
	// Secret values never reach a log, an error or the lock file.
	Secret bool
	// Minimum and Maximum bound an integer, number or duration; empty means unbounded.
	Minimum, Maximum string
	// OneOf are the values that a string may have; none means any.
	OneOf []string
}

// Block is a nested block of settings.
type Block struct {
	Name     string
	Help     string
	Required bool
	Repeated bool
	Body     ConfigSchema
}
