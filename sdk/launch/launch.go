// Package launch starts a plugin process and connects to it: handshake, mutual TLS with a fresh key for every start, an
// empty environment, and no way for the process to outlive its parent. The host and the conformance kits start plugins
// through it, so that what a kit has tested is what a host runs.
package launch
