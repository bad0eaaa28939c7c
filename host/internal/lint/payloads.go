package lint

import (
	"regexp"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// payloadRules look at packets, which are examined only when a run comes to them (contract §6.9).
var payloadRules = []Rule{
	{
		Code: "payload-too-large", Severity: Warning, Fix: "Make it smaller, or refer to external content: a run that enters the stage fails.",
		find: func(s *subject, found report) {
			s.eachPacket(func(path string, p *gate.PacketSpec) {
				if _, err := p.Payload.Hash(); err != nil {
					found(path+".payload", "%v", err)
				}
			})
		},
	},
	{
		// [F-28]
		Code: "content-hash-format", Severity: Warning, Fix: "Write the SHA-256 of the content as 64 lower-case hexadecimal digits: nobody can check it otherwise.",
		find: func(s *subject, found report) {
			s.eachPacket(func(path string, p *gate.PacketSpec) {
				if p.Payload.Kind == gate.ExternalPayload && !hexDigest.MatchString(p.Payload.ContentRef.ContentHash.Value) {
					found(path+".payload.content_ref.content_hash.value", "this is no SHA-256")
				}
			})
		},
	},
	{
		Code: "content-type", Severity: Warning, Fix: "Name the type of what is sent.",
		find: func(s *subject, found report) {
			s.eachPacket(func(path string, p *gate.PacketSpec) {
				switch {
				case strings.TrimSpace(p.ContentType) == "":
					found(path+".content_type", "the content type is empty")
				case p.Payload.Kind == gate.JSONPayload && !strings.Contains(strings.ToLower(p.ContentType), "json"):
					found(path+".content_type", "the payload is JSON, and the content type is `%s`", clip(p.ContentType))
				}
			})
		},
	},
	{
		// [F-22]
		Code: "expiry-not-enforced", Severity: Warning, Fix: "Let receivers look at it, or remove it: the host writes it down and does nothing more.",
		find: func(s *subject, found report) {
			s.eachPacket(func(path string, p *gate.PacketSpec) {
				if p.Expiry != nil {
					found(path+".expiry", "packet `%s` is handed out after its expiry too", clip(string(p.PacketID)))
				}
			})
		},
	},
}
