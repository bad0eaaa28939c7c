package upkeep

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// keyName shows a key to a person.
func keyName(key store.Key) string {
	var path []string
	for _, segment := range key.Path {
		path = append(path, segmentName(segment))
	}
	return fmt.Sprintf("%s of tenant %d, namespace %d: %s", key.Collection, key.Tenant, key.Namespace, strings.Join(path, " "))
}

// segmentName shows a segment: a number as one, a long id by its sum, any other id as it is.
func segmentName(segment []byte) string {
	switch {
	case len(segment) == 8 && segment[0] == 0:
		return fmt.Sprint(binary.BigEndian.Uint64(segment))
	case utf8.Valid(segment):
		return fmt.Sprintf("%q", segment)
	default:
		return "sha256:" + hex.EncodeToString(segment[1:])
	}
}

// runName is the id of a run by the segment of its keys, as verification has it too.
func runName(segment []byte) string {
	if utf8.Valid(segment) {
		return string(segment)
	}
	return "sha256:" + hex.EncodeToString(segment[1:])
}
