package isolation

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// Temporary is a configuration with a database of SQLite and runpacks in a folder, which the caller removes. The plugins are
// looked up in pluginDir, or beside the program where it is empty.
func Temporary(folder, pluginDir string) (*config.Config, error) {
	place := ""
	if pluginDir != "" {
		place = fmt.Sprintf("plugin_dir = %q\n", pluginDir)
	}
	bundles := filepath.Join(folder, "bundles")
	if err := os.MkdirAll(bundles, 0o700); err != nil {
		return nil, err
	}
	return config.Parse(fmt.Appendf(nil, `%s
plugin "store" "sqlite" {
  command = "store-sqlite"
  config { path = %q }
}
plugin "runpack" "fs" {
  command = "runpack-fs"
  config { path = %q }
}
`, place, filepath.Join(folder, "gate.db"), bundles), filepath.Join(folder, "temporary.hcl"))
}
