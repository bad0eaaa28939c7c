package config

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Sandbox is what a plugin may do; see docs/plugins.md for what stops what.
type Sandbox struct {
	Read    []string `hcl:"read" path:"true" max:"64" help:"Files and folders that the plugin may read and execute, beside the system's libraries and its own program."`
	Write   []string `hcl:"write" path:"true" max:"64" help:"Files and folders that it may read and change, and not execute. They must exist, and hold neither configuration nor plugins."`
	Network string   `hcl:"network" default:"none" oneof:"none,any" help:"none: no connection to anybody, also not to sockets of this machine. any: what the user may do, or what connect leaves of it."`
	Connect []uint64 `hcl:"connect" max:"64" help:"TCP ports that it may connect to with network = \"any\", and it may listen on none then; all when absent. UDP stays open, for names to be looked up."`
	User    string   `hcl:"user" max:"64" help:"User to run as, when the host runs as root; the host's user when absent. Give each plugin one of its own."`

	Memory    Bytes `hcl:"memory" min:"16MiB" max:"1TiB" help:"Most memory that the plugin and all that it starts may use; no bound when absent."`
	Processes int64 `hcl:"processes" default:"0" min:"0" max:"100000" unit:"processes" help:"Most processes and threads, of which a plugin in Go has about 20; 0 is no bound."`
	Files     int64 `hcl:"files" default:"0" min:"0" max:"1000000" unit:"descriptors" help:"Most open files and connections of each process, of which a plugin at rest has about 20; 0 is the host's own bound."`

	Required bool `hcl:"required" default:"false" help:"Do not start the host where this machine does not enforce all of it. Otherwise what it does not enforce is logged as a warning at the start."`
}

// maxPort is the highest port of TCP.
const maxPort = 1<<16 - 1

func (c *checker) sandbox(s *Sandbox) {
	if s == nil {
		return
	}
	for _, port := range s.Connect {
		if port == 0 || port > maxPort {
			c.problem(&s.Connect, "Not a port", "connect lists TCP ports, from 1 to %d; this is %d.", maxPort, port)
		}
	}
	if s.Connect != nil && s.Network != "any" {
		c.problem(&s.Connect, "Ports without a network", `connect needs network = "any", of which it leaves these ports.`)
	}
}

// Bytes is a size. In a file it is a number of bytes, or a text with a unit: KiB, MiB, GiB or TiB.
type Bytes int64

// byteUnits are powers of 1024. There is no KB, of which nobody knows whether it is 1000 or 1024.
var byteUnits = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// String is the size with the largest unit that it is a whole number of.
func (b Bytes) String() string {
	for i := len(byteUnits) - 1; i >= 0; i-- {
		if unit := byteUnits[i]; b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

const bytesHint = `write a whole number and a unit, such as "512KiB", "256MiB" or "2GiB"`

func asBytes(value cty.Value, hidden bool) (Bytes, error) {
	if value.Type() == cty.Number {
		n, err := asInteger(value, false)
		return Bytes(n), err
	}
	text, err := asText(value)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, bytesHint)
	}
	size, err := parseBytes(text)
	if err != nil {
		return 0, fmt.Errorf("%s is none: %s", shown(text, hidden), bytesHint)
	}
	return size, nil
}

func parseBytes(text string) (Bytes, error) {
	size := int64(1)
	for _, unit := range byteUnits {
		if digits, ok := strings.CutSuffix(text, unit.name); ok {
			text, size = strings.TrimSpace(digits), unit.size
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, err
	}
	product := new(big.Int).Mul(big.NewInt(n), big.NewInt(size))
	if !product.IsInt64() {
		return 0, strconv.ErrRange
	}
	return Bytes(product.Int64()), nil
}
