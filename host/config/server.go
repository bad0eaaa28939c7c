package config

import "time"

// Server is how clients reach the host. Without http and stdio, http is served on its default address.
type Server struct {
	HTTP      *HTTP      `block:"http" help:"Serve JSON-RPC and MCP over HTTP."`
	Stdio     *Stdio     `block:"stdio" help:"Serve MCP over standard input and output."`
	RateLimit *RateLimit `block:"rate_limit" help:"Refuse a caller that asks too often, until its window is over. Callers are told apart by who they were authenticated as, others by address, of IPv6 its first 64 bits. Without the block nobody is refused."`

	Control *Control `block:"control" help:"Let the operator of this machine look at plugins, restart them and reload them: decision-gate plugin list, show, logs and restart, and decision-gate reload. Without the block nobody can; SIGHUP reloads all the same."`
	Metrics *Metrics `block:"metrics" help:"Serve what is counted of plugins as text for Prometheus, at /metrics."`

	MaxBodyBytes      int64         `hcl:"max_body_bytes" default:"1048576" min:"1" max:"67108864" unit:"bytes" help:"Largest request body."`
	MaxInflight       int64         `hcl:"max_inflight" default:"256" min:"1" max:"65536" unit:"requests" help:"Requests served at the same time; more are refused as overloaded, unless one whose body is late can make room."`
	MaxEvidenceMemory int64         `hcl:"max_evidence_memory" default:"268435456" min:"1048576" max:"68719476736" unit:"bytes" help:"Memory that the evidence of all calls may take at the same time, by estimate; a call may hold half of it. A question that finds none free within its time is unanswered."`
	MaxConnections    int64         `hcl:"max_connections" default:"1024" min:"1" max:"65536" unit:"connections" help:"Connections open at the same time; one more has that which has waited longest without a whole request closed."`
	ReadHeaderTimeout time.Duration `hcl:"read_header_timeout" default:"10s" min:"100ms" max:"5m" help:"Time a client has to send the header of a request, and for the handshake of TLS."`
	ReadTimeout       time.Duration `hcl:"read_timeout" default:"30s" min:"100ms" max:"10m" help:"Time a client has to send a whole request."`
	IdleTimeout       time.Duration `hcl:"idle_timeout" default:"2m" min:"1s" max:"1h" help:"Time a connection may stay open without a request."`
	DrainTimeout      time.Duration `hcl:"drain_timeout" default:"10s" min:"0s" max:"10m" help:"Time that requests in flight have to end when the host stops."`
}

// HTTP is a listener.
type HTTP struct {
	Listen string `hcl:"listen" default:"127.0.0.1:8080" help:"IP:port or localhost:port to listen on; port 0 takes a free one, 0.0.0.0 is every address of IPv4, [::] of both. Beyond loopback it needs auth, tls or tls_upstream, hosts, and --allow-non-loopback."`
	// Hosts stop a name that was rebound to the host's address, and pages of other sites (contract decisions, "loopback
	// and browsers").
	Hosts       []string `hcl:"hosts" max:"64" help:"Names and addresses, without port, that clients reach the host by, beside those of loopback; requests for another, and from web pages of another, are refused. [\"*\"] lets any name pass, and pages of the name that is asked."`
	RPCFormat   string   `hcl:"rpc_format" default:"json" oneof:"json,sse" help:"How /rpc answers: a JSON body, or one server-sent event (mcp contract §1.4)."`
	TLS         *TLS     `block:"tls" help:"Speak TLS 1.2 or 1.3. Files that change are read again at the next handshake, without a restart."`
	TLSUpstream bool     `hcl:"tls_upstream" default:"false" help:"Confirm that a proxy in front ends TLS, where the host listens beyond loopback without."`
}

// Control is where the operator of the machine comes in.
type Control struct {
	Socket string `hcl:"socket" required:"true" path:"true" min:"1" max:"107" help:"Unix socket, which only the user of the host and root can open. It is made at the start and removed at the end."`
}

// Metrics is where counts are read.
type Metrics struct {
	Listen string `hcl:"listen" default:"127.0.0.1:9464" help:"Loopback IP:port or localhost:port; port 0 takes a free one. Whoever reads there is not asked who it is, so nothing beyond loopback is accepted."`
}

// TLS are the files of encryption and of client certificates (mcp contract §2.5).
type TLS struct {
	Cert              string `hcl:"cert" required:"true" path:"true" min:"1" max:"4096" help:"PEM file of the certificate, followed by those that issued it."`
	Key               string `hcl:"key" required:"true" path:"true" min:"1" max:"4096" help:"PEM file of its private key, not encrypted: PKCS #8, PKCS #1 or SEC 1."`
	ClientCA          string `hcl:"client_ca" path:"true" max:"4096" help:"PEM file of the certificates that client certificates must be issued by; without it clients are asked for none."`
	RequireClientCert bool   `hcl:"require_client_cert" default:"true" help:"Refuse clients without a certificate when there is a client_ca, also those of /healthz. When false, one that does not verify is still refused."`
}

// RateLimit is how often a caller may ask (mcp contract §2.4).
type RateLimit struct {
	MaxRequests int64         `hcl:"max_requests" default:"1000" min:"1" max:"100000" unit:"requests" help:"Requests of one caller in a window."`
	Window      time.Duration `hcl:"window" default:"1s" min:"100ms" max:"1m" help:"Length of a window; it begins with the first request."`
	MaxEntries  int64         `hcl:"max_entries" default:"4096" min:"1" max:"65536" unit:"callers" help:"Callers that are counted. One more takes the place of the one idle longest, first of those that were not authenticated: nobody is locked out."`
}

// Stdio serves the process's standard input and output.
type Stdio struct{}

// Log is how the host writes its log, to standard error.
type Log struct {
	Format string `hcl:"format" default:"text" oneof:"text,json" help:"Form of a line. The flag --json of serve asks for JSON, too."`
	Level  string `hcl:"level" default:"info" oneof:"debug,info,warn,error" help:"Least level that is written. The flag --log-level of serve wins."`
}
