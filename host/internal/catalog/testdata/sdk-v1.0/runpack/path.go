package runpack

import (
	"strings"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// ValidatePath checks the path of a file in a bundle: relative, valid UTF-8, "/" between components, none of them empty,
// "." or "..", no NUL and no backslash, at most MaxPath bytes and MaxComponent bytes a component (contract §9.6, §9.7).
// The error is fault.Invalid.
//
// A path that escapes its bundle would let one bundle overwrite another, or any file of the machine. NUL cuts a path off
// in system calls, and a backslash separates components on Windows, where a bundle may be unpacked.
func ValidatePath(path string) error {
	switch {
	case path == "":
		return invalidPath("it is empty")
	case len(path) > MaxPath:
		return invalidPath("it has %d bytes, want at most %d", len(path), MaxPath)
	case !utf8.ValidString(path):
		return invalidPath("it is not UTF-8")
	case strings.ContainsAny(path, "\x00\\"):
		return invalidPath("it holds NUL or a backslash")
	}
	for component := range strings.SplitSeq(path, "/") {
		switch {
		case component == "":
			return invalidPath(`it begins or ends with "/" or has an empty component`)
		case component == "." || component == "..":
			return invalidPath("it has a component %q", component)
		case len(component) > MaxComponent:
			return invalidPath("it has a component of %d bytes, want at most %d", len(component), MaxComponent)
		}
	}
	return nil
}

func invalidPath(format string, args ...any) error {
	return fault.New(fault.Invalid, "a path in the bundle is not valid: "+format, args...)
}

// specHashLen is the length of a SHA-256 in hex.
const specHashLen = 64

// Validate checks a key. The error is fault.Invalid.
func (k Key) Validate() error {
	if len(k.SpecSHA256) != specHashLen || strings.Trim(k.SpecSHA256, "0123456789abcdef") != "" {
		return fault.New(fault.Invalid, "the scenario's hash is not 64 lower-case hex digits")
	}
	if !utf8.ValidString(k.Scenario) || !utf8.ValidString(k.Run) {
		return fault.New(fault.Invalid, "the scenario id or run id is not UTF-8")
	}
	return nil
}
