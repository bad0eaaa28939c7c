// Package interop holds no code: its tests drive a host with the clients that the authors of the Model Context Protocol give
// out, in a module of their own, since nothing of theirs belongs into the host.
package interop
