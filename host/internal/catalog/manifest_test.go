package catalog

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func goodManifest() *pb.ManifestResponse {
	return &pb.ManifestResponse{
		Kind: pb.Kind_KIND_STORE, Name: "store-mine", Version: "1.2.3-rc.1+build", Protocols: []string{"decisiongate.plugin.v1", handshake.Protocol},
		Config: &pb.ConfigSchema{
			Attributes: []*pb.Attribute{{Name: "path", Type: pb.AttributeType_ATTRIBUTE_TYPE_STRING}},
			Blocks:     []*pb.Block{{Name: "lock", Body: &pb.ConfigSchema{}}},
		},
	}
}

// TestManifests gives what a wrong or hostile plugin may say of itself.
func TestManifests(t *testing.T) {
	long := strings.Repeat("x", maxManifestText+1)
	for name, test := range map[string]struct {
		change func(*pb.ManifestResponse)
		want   string
	}{
		"good":               {func(*pb.ManifestResponse) {}, ""},
		"no name":            {func(m *pb.ManifestResponse) { m.Name = "" }, "has the name"},
		"name for terminals": {func(m *pb.ManifestResponse) { m.Name = "a\x1b[31m" }, `"a\x1b[31m"`},
		"no version":         {func(m *pb.ManifestResponse) { m.Version = "" }, "has the version"},
		"no kind":            {func(m *pb.ManifestResponse) { m.Kind = 0 }, "kind 0"},
		"newer kind":         {func(m *pb.ManifestResponse) { m.Kind = 99 }, "use a newer host"},
		"other kind":         {func(m *pb.ManifestResponse) { m.Kind = pb.Kind_KIND_RUNPACK }, "is a runpack plugin"},
		"other protocol":     {func(m *pb.ManifestResponse) { m.Protocols = []string{"decisiongate.plugin.v9"} }, `speaks "decisiongate.plugin.v9", this host speaks ` + handshake.Protocol},
		"long capability":    {func(m *pb.ManifestResponse) { m.Capabilities = []string{long} }, "more than"},
		"many capabilities":  {func(m *pb.ManifestResponse) { m.Capabilities = make([]string, maxManifestItems+1) }, "more than"},
		"setting name":       {func(m *pb.ManifestResponse) { m.Config.Attributes[0].Name = "Path ${x}" }, "wrong name or type"},
		"setting type":       {func(m *pb.ManifestResponse) { m.Config.Attributes[0].Type = 99 }, "wrong name or type"},
		"setting help":       {func(m *pb.ManifestResponse) { m.Config.Attributes[0].Help = long }, "attribute path"},
		"block name":         {func(m *pb.ManifestResponse) { m.Config.Blocks[0].Name = "" }, "block"},
		"deep": {func(m *pb.ManifestResponse) {
			for range maxSchemaDepth + 1 {
				m.Config = &pb.ConfigSchema{Blocks: []*pb.Block{{Name: "in", Body: proto.CloneOf(m.Config)}}}
			}
		}, "too large"},
		"many settings": {func(m *pb.ManifestResponse) {
			for range maxManifestItems {
				m.Config.Attributes = append(m.Config.Attributes, m.Config.Attributes[0])
			}
		}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			wire := goodManifest()
			test.change(wire)
			m, err := checkManifest(&config.Plugin{Kind: "store", Name: "main"}, nil, wire)
			if test.want == "" {
				if err != nil || m.name != "store-mine" || len(m.schema.Blocks) != 1 {
					t.Errorf("got %+v, %v", m, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 500 {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
