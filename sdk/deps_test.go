package sdk_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed are the modules whose packages every plugin links. A plugin author inherits each of them, with its licence, its
// size and its vulnerabilities: the list grows only on purpose.
var allowed = []string{
	"github.com/decision-gate-host/decision-gate-host/sdk",
	"google.golang.org/grpc",
	"google.golang.org/protobuf",
	"google.golang.org/genproto/googleapis/rpc",
	"github.com/hashicorp/go-plugin",
	// What go-plugin links.
	"github.com/hashicorp/go-hclog", "github.com/hashicorp/yamux", "github.com/oklog/run", "github.com/golang/protobuf",
	"github.com/fatih/color", "github.com/mattn/go-colorable", "github.com/mattn/go-isatty",
	// What gRPC links.
	"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text",
}

// authored are the packages that a plugin's program imports.
var authored = []string{".", "./store", "./runpack", "./evidence", "./auth", "./fault", "./handshake"}

func TestPluginsLinkOnlyWhatIsAllowed(t *testing.T) {
	for _, packages := range [][]string{authored, append(slices.Clone(authored), "./launch")} {
		args := append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, packages...)
		out, err := exec.Command("go", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		linked := strings.Fields(string(out))
		slices.Sort(linked)
		for _, module := range slices.Compact(linked) {
			if !slices.Contains(allowed, module) {
				t.Errorf("%v link module %s", packages, module)
			}
		}
	}
}

// Plugins share no package with the host: they are built by people who never see it.
func TestPluginsDoNotLinkTheHost(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(pkg, "github.com/decision-gate-host/decision-gate-host/") && !strings.HasPrefix(pkg, "github.com/decision-gate-host/decision-gate-host/sdk") {
			t.Errorf("the SDK links %s", pkg)
		}
	}
}
