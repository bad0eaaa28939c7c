package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// The kinds of plugins.
const (
	kindStore    = "store"
	kindRunpack  = "runpack"
	kindEvidence = "evidence"
	kindAuth     = "auth"
)

var kinds = map[pb.Kind]string{pb.Kind_KIND_STORE: kindStore, pb.Kind_KIND_RUNPACK: kindRunpack, pb.Kind_KIND_EVIDENCE: kindEvidence, pb.Kind_KIND_AUTH: kindAuth}

// A manifest is a plugin's word: it is bounded before it reaches a log, a terminal or the lock file.
const (
	maxManifestText  = 1 << 10
	maxManifestItems = 256
	// maxSchemaDepth leaves room for the brackets of the lock file, which may nest 64 deep.
	maxSchemaDepth = 8
)

var (
	manifestName    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	manifestVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$`)
	settingName     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// manifest is what a plugin says of itself, checked.
type manifest struct {
	kind, name, version     string
	protocols, capabilities []string
	schema                  sdk.ConfigSchema
	minor                   uint32
}

// checkManifest refuses a plugin that is not what the configuration, the lock file or the protocol says.
func checkManifest(p *config.Plugin, locked *config.Locked, wire *pb.ManifestResponse) (*manifest, error) {
	kind := kinds[wire.GetKind()]
	switch {
	case !manifestName.MatchString(wire.GetName()):
		return nil, fmt.Errorf("its manifest has the name %.100q; want 1 to 63 of a-z, 0-9, _ and -", wire.GetName())
	case !manifestVersion.MatchString(wire.GetVersion()):
		return nil, fmt.Errorf("the manifest of %s has the version %.100q; want one such as 1.2.3", wire.GetName(), wire.GetVersion())
	case kind == "":
		return nil, fmt.Errorf("%s is of kind %d, which this host does not know; use a newer host", wire.GetName(), wire.GetKind())
	case kind != p.Kind:
		return nil, fmt.Errorf("the configuration says it is a %s plugin, but %s is a %s plugin: declare it as plugin %q %q, or name another command", p.Kind, wire.GetName(), kind, kind, p.Name)
	case !slices.Contains(wire.GetProtocols(), handshake.Protocol):
		return nil, fmt.Errorf("%s %s speaks %.200q, this host speaks %s: use a version of the plugin for it", wire.GetName(), wire.GetVersion(), strings.Join(wire.GetProtocols(), ", "), handshake.Protocol)
	case tooOld(handshake.Minor, wire.GetMinor()):
		return nil, fmt.Errorf("%s %s was built for %s, version 1.%d, and this host supports 1.%d and 1.%d: use a newer version of the plugin", wire.GetName(), wire.GetVersion(), handshake.Protocol, wire.GetMinor(), handshake.Minor-1, handshake.Minor)
	case locked != nil && (locked.Plugin != wire.GetName() || locked.Version != wire.GetVersion()):
		return nil, fmt.Errorf("it is %s %s, but %s names %s %s; %s", wire.GetName(), wire.GetVersion(), config.LockFile, locked.Plugin, locked.Version, pinAgain)
	}
	for _, list := range [][]string{wire.GetProtocols(), wire.GetCapabilities()} {
		if err := checkTexts(list); err != nil {
			return nil, err
		}
	}
	schema, err := schemaFromWire(wire.GetConfig(), 0)
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s: %w", wire.GetName(), err)
	}
	return &manifest{kind, wire.GetName(), wire.GetVersion(), wire.GetProtocols(), wire.GetCapabilities(), schema, wire.GetMinor()}, nil
}

// tooOld says whether a host of one minor version has stopped to support plugins of another. A plugin that is newer than the
// host learns the host's version when it is asked for its manifest, and keeps to it.
func tooOld(host, plugin uint32) bool { return plugin+1 < host }

func checkTexts(list []string) error {
	if len(list) > maxManifestItems {
		return fmt.Errorf("a list has %d items, more than %d", len(list), maxManifestItems)
	}
	for _, text := range list {
		if len(text) > maxManifestText {
			return fmt.Errorf("a text has %d bytes, more than %d", len(text), maxManifestText)
		}
	}
	return nil
}

var attributeTypes = map[pb.AttributeType]sdk.AttributeType{
	pb.AttributeType_ATTRIBUTE_TYPE_STRING:      sdk.String,
	pb.AttributeType_ATTRIBUTE_TYPE_INTEGER:     sdk.Integer,
	pb.AttributeType_ATTRIBUTE_TYPE_NUMBER:      sdk.Number,
	pb.AttributeType_ATTRIBUTE_TYPE_BOOL:        sdk.Bool,
	pb.AttributeType_ATTRIBUTE_TYPE_STRING_LIST: sdk.StringList,
	pb.AttributeType_ATTRIBUTE_TYPE_DURATION:    sdk.Duration,
}

func schemaFromWire(wire *pb.ConfigSchema, depth int) (sdk.ConfigSchema, error) {
	var out sdk.ConfigSchema
	if depth > maxSchemaDepth || len(wire.GetAttributes())+len(wire.GetBlocks()) > maxManifestItems {
		return out, fmt.Errorf("its configuration schema is too large")
	}
	for _, a := range wire.GetAttributes() {
		kind, known := attributeTypes[a.GetType()]
		if !settingName.MatchString(a.GetName()) || !known {
			return out, fmt.Errorf("attribute %.100q of its configuration schema has a wrong name or type", a.GetName())
		}
		if err := checkTexts(append([]string{a.GetDefaultJson(), a.GetHelp(), a.GetMinimum(), a.GetMaximum()}, a.GetOneOf()...)); err != nil {
			return out, fmt.Errorf("attribute %s of its configuration schema: %w", a.GetName(), err)
		}
		out.Attributes = append(out.Attributes, sdk.Attribute{
			Name: a.GetName(), Type: kind, Required: a.GetRequired(), Default: a.GetDefaultJson(), Help: a.GetHelp(),
			Secret: a.GetSecret(), Minimum: a.GetMinimum(), Maximum: a.GetMaximum(), OneOf: a.GetOneOf(),
		})
	}
	for _, b := range wire.GetBlocks() {
		if !settingName.MatchString(b.GetName()) || len(b.GetHelp()) > maxManifestText {
			return out, fmt.Errorf("block %.100q of its configuration schema has a wrong name or a text that is too long", b.GetName())
		}
		body, err := schemaFromWire(b.GetBody(), depth+1)
		if err != nil {
			return out, err
		}
		out.Blocks = append(out.Blocks, sdk.Block{Name: b.GetName(), Help: b.GetHelp(), Required: b.GetRequired(), Repeated: b.GetRepeated(), Body: body})
	}
	return out, nil
}
