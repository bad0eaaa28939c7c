package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Limits of a contract file (mcp contract §5.4), in bytes.
const (
	maxContract      = 1 << 20
	maxPath          = 4096
	maxPathComponent = 255
)

var (
	errContractSize    = errors.New("capability contract exceeds size limit")
	errPathLength      = errors.New("path exceeds max length")
	errComponentLength = errors.New("path component too long")
)

// LoadContract reads the contract of a provider outside the host from its file and checks it. The error is a
// *CapabilityError that names the file.
func LoadContract(id gate.ProviderID, path string) (*Contract, error) {
	if err := checkPath(path); err != nil {
		return nil, capability(ContractPathInvalid, "%s: %s", path, err)
	}
	data, err := readContract(path)
	switch {
	case errors.Is(err, errContractSize):
		return nil, capability(ContractInvalid, "%s: %s", id, err)
	case err != nil:
		return nil, capability(ContractReadFailed, "%s: %s", path, err)
	}
	contract := &Contract{}
	v, err := canonical.Parse(data)
	if err == nil {
		err = canonical.Decode(v, contract)
	}
	if err != nil {
		return nil, capability(ContractParseFailed, "%s: %s", path, err)
	}
	return contract, contract.checkExternal(id)
}

// checkExternal finds what would keep a contract of a provider outside the host from being registered.
func (c *Contract) checkExternal(id gate.ProviderID) error {
	if err := c.checkID(id); err != nil {
		return err
	}
	if c.Transport != External {
		return capability(ContractInvalid, "%s: external providers must declare transport=mcp", id)
	}
	_, err := c.compile()
	return err
}

func checkPath(path string) error {
	if len(path) > maxPath {
		return errPathLength
	}
	for component := range strings.SplitSeq(path, string(filepath.Separator)) {
		if len(component) > maxPathComponent {
			return fmt.Errorf("%w: %s", errComponentLength, component)
		}
	}
	return nil
}

// readContract refuses what is no regular file: reading a pipe could block for ever.
func readContract(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxContract+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxContract {
		return nil, errContractSize
	}
	return data, nil
}

// withoutPath drops the path from an error of the file system: the message names it already.
func withoutPath(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
