// Package handshake holds what a host and a plugin must agree on before they can speak: names of environment variables,
// the cookie and the protocol version. Authors of plugins in other languages find here what to read and what to print.
//
// The wire format is HashiCorp go-plugin's. The host starts the plugin with the variables below; the plugin listens on a
// Unix socket in PLUGIN_UNIX_SOCKET_DIR (or on 127.0.0.1), with TLS and a certificate of its own for "localhost", accepts
// only the client certificate in PLUGIN_CLIENT_CERT, and prints one line on stdout:
//
//	1|1|unix|PATH|grpc|CERTIFICATE
//
// CERTIFICATE is the DER of its certificate in standard base64 without padding. It serves grpc.health.v1.Health (service
// "plugin"), plugin.GRPCController/Shutdown and the services of package decisiongate.plugin.v1.
package handshake

const (
	// CookieKey and CookieValue tell a plugin that it was started by a host and not by hand. They are no secret.
	CookieKey   = "DECISION_GATE_PLUGIN"
	CookieValue = "0b9a5f2e-7c41-4d0e-9d5c-1f2f6a8d3c77"

	// CoreVersion is the version of go-plugin's line, Version the one of ours.
	CoreVersion = 1
	Version     = 1

	// ClientCertEnv holds the PEM of the only client certificate that may connect. A plugin refuses to run without it:
	// there is no plaintext mode.
	ClientCertEnv = "PLUGIN_CLIENT_CERT"
	// SocketDirEnv names a private directory for the plugin's socket.
	SocketDirEnv = "PLUGIN_UNIX_SOCKET_DIR"
	// VersionsEnv lists the versions that the host speaks.
	VersionsEnv = "PLUGIN_PROTOCOL_VERSIONS"
	// ControlEnv is the number of an inherited descriptor. When it reads end of file the host is gone, however it died,
	// and the plugin ends itself at once.
	ControlEnv = "DECISION_GATE_CONTROL_FD"
	// LogLevelEnv is the lowest level that the host keeps: DEBUG, INFO, WARN or ERROR.
	LogLevelEnv = "DECISION_GATE_LOG_LEVEL"

	// HealthService is the name that the gRPC health service answers for.
	HealthService = "plugin"
	// ShutdownMethod ends the process; StdioMethod streams what a go-plugin plugin writes to os.Stdout and os.Stderr.
	ShutdownMethod = "/plugin.GRPCController/Shutdown"
	StdioMethod    = "/plugin.GRPCStdio/StreamStdio"

	// Protocol is the protobuf package that a plugin names in its manifest.
	Protocol = "decisiongate.plugin.v1"
	// MaxMessage is the size in bytes of the largest message, set on both sides of every connection.
	MaxMessage = 64 << 20
	// StreamWindow and ConnWindow are how many bytes one side of a connection holds that its reader has not asked for yet.
	// gRPC's own windows grow to 16 MiB for each stream: a reader of six files, or one that is slower than its sender, would
	// hold most of a small machine's memory. A page of a scan fits.
	StreamWindow = 1 << 20
	ConnWindow   = 4 << 20
)
