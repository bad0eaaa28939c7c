package sdk

import (
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

var attributeTypes = map[AttributeType]pb.AttributeType{
	String:     pb.AttributeType_ATTRIBUTE_TYPE_STRING,
	Integer:    pb.AttributeType_ATTRIBUTE_TYPE_INTEGER,
	Number:     pb.AttributeType_ATTRIBUTE_TYPE_NUMBER,
	Bool:       pb.AttributeType_ATTRIBUTE_TYPE_BOOL,
	StringList: pb.AttributeType_ATTRIBUTE_TYPE_STRING_LIST,
	Duration:   pb.AttributeType_ATTRIBUTE_TYPE_DURATION,
}

func (p Plugin) manifest() *pb.ManifestResponse {
	return &pb.ManifestResponse{
		Kind: p.kind(), Name: p.Name, Version: p.Version,
		Protocols:    []string{handshake.Protocol},
		Minor:        handshake.Minor,
		Capabilities: p.Capabilities,
		Config:       p.Config.toWire(),
	}
}

func (p Plugin) kind() pb.Kind {
	kind := pb.Kind_KIND_UNSPECIFIED
	for k, set := range map[pb.Kind]bool{
		pb.Kind_KIND_STORE: p.OpenStore != nil, pb.Kind_KIND_RUNPACK: p.OpenRunpack != nil, pb.Kind_KIND_EVIDENCE: p.OpenEvidence != nil,
		pb.Kind_KIND_AUTH: p.OpenAuth != nil,
	} {
		switch {
		case set && kind != pb.Kind_KIND_UNSPECIFIED:
			return pb.Kind_KIND_UNSPECIFIED
		case set:
			kind = k
		}
	}
	return kind
}

func (s ConfigSchema) toWire() *pb.ConfigSchema {
	wire := &pb.ConfigSchema{}
	for _, a := range s.Attributes {
		wire.Attributes = append(wire.Attributes, &pb.Attribute{
			Name: a.Name, Type: attributeTypes[a.Type], Required: a.Required, DefaultJson: a.Default, Help: a.Help,
			Secret: a.Secret, Minimum: a.Minimum, Maximum: a.Maximum, OneOf: a.OneOf,
		})
	}
	for _, b := range s.Blocks {
		wire.Blocks = append(wire.Blocks, &pb.Block{
			Name: b.Name, Help: b.Help, Required: b.Required, Repeated: b.Repeated, Body: b.Body.toWire(),
		})
	}
	return wire
}

// check finds the author's mistakes before any user meets them.
func (p Plugin) check() error {
	switch {
	case p.Name == "" || p.Version == "":
		return errors.New("Plugin.Name and Plugin.Version must be set")
	case p.kind() == pb.Kind_KIND_UNSPECIFIED:
		return errors.New("exactly one of Plugin.OpenStore, Plugin.OpenRunpack, Plugin.OpenEvidence and Plugin.OpenAuth must be set")
	}
	return p.Config.check()
}

func (s ConfigSchema) check() error {
	seen := map[string]bool{}
	for _, a := range s.Attributes {
		_, known := attributeTypes[a.Type]
		switch {
		case a.Name == "" || seen[a.Name]:
			return fmt.Errorf("config attribute %q: the name is empty or used twice", a.Name)
		case !known:
			return fmt.Errorf("config attribute %q: unknown type %q", a.Name, a.Type)
		case a.Required && a.Default != "":
			return fmt.Errorf("config attribute %q: a required attribute has no default", a.Name)
		case a.Default != "" && a.check([]byte(a.Default)) != "":
			return fmt.Errorf("config attribute %q: its default is not a valid value: %s", a.Name, a.check([]byte(a.Default)))
		}
		seen[a.Name] = true
	}
	for _, b := range s.Blocks {
		if b.Name == "" || seen[b.Name] {
			return fmt.Errorf("config block %q: the name is empty or used twice", b.Name)
		}
		seen[b.Name] = true
		if err := b.Body.check(); err != nil {
			return fmt.Errorf("config block %q: %w", b.Name, err)
		}
	}
	return nil
}
