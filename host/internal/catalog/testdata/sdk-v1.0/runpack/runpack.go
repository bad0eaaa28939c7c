// Package runpack is what a runpack plugin implements: a place where exported bundles are kept, unseen until they are
// whole, never overwritten.
//
// The words MUST and MUST NOT below are asserted by the conformance kit in package runpacktest.
package runpack

import (
	"context"
	"io"
)

// Limits of the protocol.
const (
	// MaxChunk is the size in bytes of the largest chunk of a file on the wire.
	MaxChunk = 256 << 10
	// MaxPath is the length in bytes of the longest path of a file (contract core.md §9.6).
	MaxPath = 4096
	// MaxComponent is the length in bytes of the longest component of a path.
	MaxComponent = 255
	// MaxFiles is the number of files of the largest bundle.
	MaxFiles = 1024
)

// Sink keeps bundles. All calls are safe for concurrent use and honour the context.
// Errors are *fault.Error (package sdk/fault).
type Sink interface {
	// Begin opens a bundle that nobody sees before Finish. An unfinished one may be swept after 24 hours.
	Begin(ctx context.Context, key Key, tags map[string]string) (id string, err error)

	// Write adds one file to an unfinished bundle. Path is relative, with "/" between components, none of them empty,
	// "." or "..": anything else is INVALID, a second Write of a path too. Memory MUST be bounded by a chunk.
	Write(ctx context.Context, id, path string, content io.Reader) (Written, error)

	// Finish makes the bundle visible and durable: a bundle that was answered MUST survive a power cut. Identical bytes
	// for the same key answer the same URI; other bytes become another bundle beside the first. Nothing is overwritten.
	// A manifest whose SHA-256 is not the given one is CORRUPT.
	Finish(ctx context.Context, id, manifestPath string, manifestSHA256 [32]byte) (uri string, err error)

	// Abort forgets an unfinished bundle; an unknown one is forgotten already.
	Abort(ctx context.Context, id string) error

	// Open reads one file of a finished bundle. An unknown one is NOT_FOUND; a file whose bytes are not those that were
	// written is CORRUPT, at the latest instead of io.EOF.
	Open(ctx context.Context, uri, path string) (io.ReadCloser, error)

	// List calls yield with each finished bundle of a tenant, and of one namespace unless it is 0, in URI order.
	List(ctx context.Context, tenant, namespace uint64, yield func(Bundle) error) error

	// Delete removes a finished bundle. One that may not be removed yet is LOCKED.
	Delete(ctx context.Context, uri string) error

	// Close ends the sink.
	Close() error
}

// Key says what a bundle is of.
type Key struct {
	Tenant, Namespace uint64
	// Scenario and Run are ids of any Unicode text, also empty: a sink MUST NOT let them act as path syntax.
	Scenario, Run string
	// SpecSHA256 is the lower-case hex hash of the scenario.
	SpecSHA256 string
}

// Written is what became of a file.
type Written struct {
	Size   uint64
	SHA256 [32]byte
}

// Bundle is a finished bundle.
type Bundle struct {
	URI            string
	Key            Key
	Tags           map[string]string
	ManifestPath   string
	ManifestSHA256 [32]byte
	// Files are in the order in which they were written.
	Files []File
}

// File is one file of a bundle.
type File struct {
	Path   string
	Size   uint64
	SHA256 [32]byte
}
