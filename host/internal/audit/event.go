// Package audit writes the audit log: a JSON object a line for each thing that an auditor asks about, with the members of mcp
// contract §6, in its order. The lines of one request go out together, before its answer does.
//
// It never lets a line be lost in silence: what could not be written is kept, nothing is served until it is, and a request
// that could not be recorded is told to have failed. It decides nothing, and puts no payload and no credential into a line
// unless the operator has asked for the payloads of precheck.
package audit

import (
	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Missing is the server_correlation_id of a request that was refused before it got one (mcp contract §6).
const Missing = "missing"

// Decision is whether something was allowed to go on.
type Decision string

// The decisions of ToolAuthz.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
)

// ToolAuthz is who asked for a tool, or for a list, and whether that was allowed (mcp contract §6.1). It has no time: the
// mcp_request line of the same server_correlation_id has.
type ToolAuthz struct {
	Decision  Decision `member:"decision"`
	Action    string   `member:"action"`
	Transport string   `member:"transport"`
	PeerIP    *string  `member:"peer_ip" presence:"O"`
	// The next three are nil on a denial: who it was is then not known, or no matter.
	AuthMethod       *string `member:"auth_method" presence:"O"`
	Subject          *string `member:"subject" presence:"O"`
	TokenFingerprint *string `member:"token_fingerprint" presence:"O"`
	// Reason is nil when allowed.
	Reason              *string `member:"reason" presence:"O"`
	RequestID           *string `member:"request_id" presence:"O"`
	ClientCorrelationID *string `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string  `member:"server_correlation_id"`
}

// Method is what a request asked for, as its line names it.
type Method string

// The methods.
const (
	ToolsList     Method = "ToolsList"
	ToolsCall     Method = "ToolsCall"
	ResourcesList Method = "ResourcesList"
	ResourcesRead Method = "ResourcesRead"
	// Invalid is of requests that were not read, or are none.
	Invalid Method = "Invalid"
	Other   Method = "Other"
)

// Outcome is what a request was answered with.
type Outcome string

// The outcomes.
const (
	OK     Outcome = "Ok"
	Failed Outcome = "Error"
)

// Redaction is what of a request's content is left out of its line.
type Redaction string

// The redactions: Full and Evidence leave out everything.
const (
	Full     Redaction = "full"
	Evidence Redaction = "evidence"
	HashOnly Redaction = "hash_only"
	Payload  Redaction = "payload"
)

// Request is a request and what it was answered with (mcp contract §6.2).
type Request struct {
	TimestampMS         int64   `member:"timestamp_ms"`
	RequestID           *string `member:"request_id" presence:"O"`
	ClientCorrelationID *string `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string  `member:"server_correlation_id"`
	Transport           string  `member:"transport"`
	PeerIP              *string `member:"peer_ip" presence:"O"`
	Method              Method  `member:"method"`
	Tool                *string `member:"tool" presence:"O"`
	Outcome             Outcome `member:"outcome"`
	ErrorCode           *int64  `member:"error_code" presence:"O"`
	ErrorKind           *string `member:"error_kind" presence:"O"`
	RequestBytes        uint64  `member:"request_bytes"`
	ResponseBytes       uint64  `member:"response_bytes"`
	// ClientSubject is a subject that was verified; never what a header merely says.
	ClientSubject *string   `member:"client_subject" presence:"O"`
	Redaction     Redaction `member:"redaction"`
}

// Precheck is a precheck that was answered (mcp contract §6.3). The request and the response are there only when the
// operator wants payloads.
type Precheck struct {
	TimestampMS         int64                `member:"timestamp_ms"`
	ClientCorrelationID *string              `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string               `member:"server_correlation_id"`
	TenantID            string               `member:"tenant_id"`
	NamespaceID         string               `member:"namespace_id"`
	ScenarioID          *string              `member:"scenario_id" presence:"O"`
	StageID             *string              `member:"stage_id" presence:"O"`
	SchemaID            string               `member:"schema_id"`
	SchemaVersion       string               `member:"schema_version"`
	RequestHash         canonical.HashDigest `member:"request_hash"`
	ResponseHash        canonical.HashDigest `member:"response_hash"`
	// Request and Response are null unless Redaction is Payload.
	Request   canonical.Value `member:"request"`
	Response  canonical.Value `member:"response"`
	Redaction Redaction       `member:"redaction"`
}

// Registry is whether a principal may use the registry of data shapes (mcp contract §6.4).
type Registry struct {
	TimestampMS         int64    `member:"timestamp_ms"`
	RequestID           *string  `member:"request_id" presence:"O"`
	ClientCorrelationID *string  `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string   `member:"server_correlation_id"`
	TenantID            string   `member:"tenant_id"`
	NamespaceID         string   `member:"namespace_id"`
	Action              string   `member:"action"`
	Allowed             bool     `member:"allowed"`
	Reason              string   `member:"reason"`
	PrincipalID         string   `member:"principal_id"`
	Roles               []string `member:"roles"`
	PolicyClass         *string  `member:"policy_class" presence:"O"`
	// The shape is nil for a list.
	SchemaID      *string `member:"schema_id" presence:"O"`
	SchemaVersion *string `member:"schema_version" presence:"O"`
}

// Tenant is whether a principal may use a tool in a tenant (mcp contract §6.5).
type Tenant struct {
	TimestampMS         int64   `member:"timestamp_ms"`
	RequestID           *string `member:"request_id" presence:"O"`
	ClientCorrelationID *string `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string  `member:"server_correlation_id"`
	Tool                string  `member:"tool"`
	Allowed             bool    `member:"allowed"`
	Reason              string  `member:"reason"`
	PrincipalID         string  `member:"principal_id"`
	TenantID            *string `member:"tenant_id" presence:"O"`
	NamespaceID         *string `member:"namespace_id" presence:"O"`
}

// Usage is whether a principal has the units left that a tool takes (mcp contract §6.6).
type Usage struct {
	TimestampMS         int64   `member:"timestamp_ms"`
	RequestID           *string `member:"request_id" presence:"O"`
	ClientCorrelationID *string `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID string  `member:"server_correlation_id"`
	Tool                string  `member:"tool"`
	TenantID            *string `member:"tenant_id" presence:"O"`
	NamespaceID         *string `member:"namespace_id" presence:"O"`
	PrincipalID         string  `member:"principal_id"`
	Metric              string  `member:"metric"`
	Units               uint64  `member:"units"`
	Allowed             bool    `member:"allowed"`
	Reason              string  `member:"reason"`
}

// The kinds of Security (mcp contract §6.7).
const (
	DevelopmentEnabled   = "dev_permissive_enabled"
	InvalidCorrelationID = "invalid_correlation_id"
)

// Security is something that whoever guards the host must see (mcp contract §6.7). What is written at the start of the host
// belongs to no request.
type Security struct {
	TimestampMS         int64   `member:"timestamp_ms"`
	ClientCorrelationID *string `member:"unsafe_client_correlation_id" presence:"O"`
	ServerCorrelationID *string `member:"server_correlation_id" presence:"O"`
	Kind                string  `member:"kind"`
	Message             *string `member:"message" presence:"O"`
	DevPermissive       bool    `member:"dev_permissive"`
	NamespaceAuthority  string  `member:"namespace_authority"`
}

// Event is one of the types of this package that are a line of the log.
type Event interface{ event() string }

func (ToolAuthz) event() string { return "mcp_tool_authz" }
func (Request) event() string   { return "mcp_request" }
func (Precheck) event() string  { return "precheck_audit" }
func (Registry) event() string  { return "registry_audit" }
func (Tenant) event() string    { return "tenant_authz" }
func (Usage) event() string     { return "usage_audit" }
func (Security) event() string  { return "security_audit" }

// AppendLine appends the line of an event. A line break in a text of it is escaped, as JSON has it, so that nobody can put a
// line of their own into the log.
func AppendLine(dst []byte, e Event) []byte {
	dst = canonical.AppendString(append(dst, `{"event":`...), e.event())
	members := len(dst)
	dst = canonical.Append(dst, e, canonical.Declared)
	dst[members] = ',' // where the object of the members begins
	return append(dst, '\n')
}
