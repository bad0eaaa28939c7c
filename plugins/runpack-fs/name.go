package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

const (
	uriPrefix = "runpack-fs://"
	// maxName is the length in bytes of the longest escaped id; longer ones are named by their hash. It is well below the
	// 255 bytes of a directory entry, and what a person still reads.
	maxName = 128
	// The marks of ids that are not spelled out. "~" is always escaped in one that is, so no id can be forged to have
	// another's name.
	emptyName  = "~empty"
	hashPrefix = "~sha256-"
)

// escape turns an id into one directory entry, injectively: letters, digits, "-", "_" and inner dots stand for
// themselves, every other byte is percent-encoded, an empty id is "~empty" and a long one "~sha256-" and its hash.
// A leading dot is escaped, so that no id is "." or ".." or hides.
func escape(id string) string {
	if id == "" {
		return emptyName
	}
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
		if b.Len() > maxName {
			sum := sha256.Sum256([]byte(id))
			return hashPrefix + hex.EncodeToString(sum[:])
		}
	}
	return b.String()
}

// keyPath is the directory, relative to the root, of every bundle of a key.
func keyPath(key runpack.Key) string {
	return fmt.Sprintf("tenant/%d/namespace/%d/scenario/%s/run/%s", key.Tenant, key.Namespace, escape(key.Scenario), escape(key.Run))
}

// bundlePath is the directory that a URI names, in two parts. A URI is refused unless it is spelled as this sink spells
// them: it comes back from clients and must not become a path that no bundle has.
func bundlePath(uri string) (parent, name string, ok bool) {
	path, ok := strings.CutPrefix(uri, uriPrefix)
	parts := strings.Split(path, "/")
	if !ok || len(parts) != len(uriShape) {
		return "", "", false
	}
	for i, part := range parts {
		if !uriShape[i](part) {
			return "", "", false
		}
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], "/"), parts[last], true
}

// uriShape holds what each component of a URI may be.
var uriShape = []func(string) bool{
	is("tenant"), isNumber, is("namespace"), isNumber, is("scenario"), isName, is("run"), isName, isHash,
}

func is(word string) func(string) bool { return func(s string) bool { return s == word } }

func isNumber(s string) bool {
	return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == "" && (s == "0" || s[0] != '0')
}

func isName(s string) bool {
	if s == "" || s[0] == '.' || len(s) > maxName {
		return false
	}
	const plain = "-_.%~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return strings.Trim(s, plain) == ""
}

func isHash(s string) bool {
	return len(s) == hex.EncodedLen(sha256.Size) && strings.Trim(s, "0123456789abcdef") == ""
}
