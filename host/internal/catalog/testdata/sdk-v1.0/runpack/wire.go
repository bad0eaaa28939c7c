package runpack

import (
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func keyToWire(k Key) *pb.BundleKey {
	return &pb.BundleKey{Tenant: k.Tenant, Namespace: k.Namespace, Scenario: k.Scenario, Run: k.Run, SpecSha256: k.SpecSHA256}
}

func keyFromWire(k *pb.BundleKey) Key {
	return Key{Tenant: k.GetTenant(), Namespace: k.GetNamespace(), Scenario: k.GetScenario(), Run: k.GetRun(), SpecSHA256: k.GetSpecSha256()}
}

func bundleToWire(b Bundle) *pb.Bundle {
	wire := &pb.Bundle{
		Uri: b.URI, Key: keyToWire(b.Key), Tags: b.Tags,
		ManifestPath: b.ManifestPath, ManifestSha256: slices.Clone(b.ManifestSHA256[:]),
		Files: make([]*pb.File, len(b.Files)),
	}
	for i, file := range b.Files {
		wire.Files[i] = &pb.File{Path: file.Path, Size: file.Size, Sha256: slices.Clone(file.SHA256[:])}
	}
	return wire
}

// bundleFromWire checks what the caller will use as paths and sums.
func bundleFromWire(wire *pb.Bundle) (Bundle, error) {
	if wire.GetUri() == "" || len(wire.GetManifestSha256()) != 32 || len(wire.GetFiles()) > MaxFiles || ValidatePath(wire.GetManifestPath()) != nil {
		return Bundle{}, broken("List answered a bundle without a valid URI, manifest or number of files")
	}
	bundle := Bundle{
		URI: wire.GetUri(), Key: keyFromWire(wire.GetKey()), Tags: wire.GetTags(),
		ManifestPath: wire.GetManifestPath(), ManifestSHA256: [32]byte(wire.GetManifestSha256()),
		Files: make([]File, len(wire.GetFiles())),
	}
	for i, file := range wire.GetFiles() {
		if len(file.GetSha256()) != 32 || ValidatePath(file.GetPath()) != nil {
			return Bundle{}, broken("List answered a file without a valid path or sum")
		}
		bundle.Files[i] = File{Path: file.GetPath(), Size: file.GetSize(), SHA256: [32]byte(file.GetSha256())}
	}
	return bundle, nil
}

// broken is the error of an answer that the protocol does not allow.
func broken(format string, args ...any) error {
	return fault.New(fault.Internal, "the runpack plugin broke the protocol: "+format, args...)
}
