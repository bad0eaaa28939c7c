package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// MaxCollection is the length in bytes of the longest collection name: an identifier of PostgreSQL.
const MaxCollection = 63

// hashedSegment begins a segment that stands for a long id. The byte cannot occur in UTF-8, and ids that begin with it
// are hashed too, so that nobody can choose a short id that takes the place of a long one.
const hashedSegment = 0xFF

// Segment is the path segment of an id: its bytes, or 0xFF and its SHA-256 when it is longer than MaxSegment.
func Segment(id string) []byte {
	if len(id) <= MaxSegment && (id == "" || id[0] != hashedSegment) {
		return []byte(id)
	}
	sum := sha256.Sum256([]byte(id))
	return append([]byte{hashedSegment}, sum[:]...)
}

// Uint64Segment is the path segment of a number: 8 bytes, big-endian, so that byte order is number order.
func Uint64Segment(n uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, n)
}

// Validate checks a key against the limits of the protocol. The error is fault.Invalid.
func (k Key) Validate() error {
	if err := validateCollection(k.Collection); err != nil {
		return err
	}
	if len(k.Path) == 0 {
		return fault.New(fault.Invalid, "key of collection %q: the path has no segment", k.Collection)
	}
	return validatePath(k.Collection, k.Path)
}

// validate checks a scan, whose prefix and start may have no segment.
func (s Scan) validate() error {
	if err := validateCollection(s.Collection); err != nil {
		return err
	}
	if err := validatePath(s.Collection, s.Prefix); err != nil {
		return err
	}
	return validatePath(s.Collection, s.StartAfter)
}

func validateCollection(name string) error {
	if name == "" || len(name) > MaxCollection {
		return fault.New(fault.Invalid, "collection name of %d bytes: want 1 to %d", len(name), MaxCollection)
	}
	for _, c := range []byte(name) {
		if !collectionByte(c) {
			return fault.New(fault.Invalid, "collection %q: want only a-z, 0-9 and _", name)
		}
	}
	return nil
}

func collectionByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
}

func validatePath(collection string, path [][]byte) error {
	if len(path) > MaxSegments {
		return fault.New(fault.Invalid, "key of collection %q: %d segments, want at most %d", collection, len(path), MaxSegments)
	}
	for i, segment := range path {
		if len(segment) > MaxSegment {
			return fault.New(fault.Invalid, "key of collection %q: segment %d has %d bytes, want at most %d", collection, i, len(segment), MaxSegment)
		}
	}
	return nil
}

// Compare orders keys: -1, 0 or 1.
func (k Key) Compare(other Key) int {
	return cmp.Or(
		cmp.Compare(k.Collection, other.Collection),
		cmp.Compare(k.Tenant, other.Tenant),
		cmp.Compare(k.Namespace, other.Namespace),
		slices.CompareFunc(k.Path, other.Path, bytes.Compare),
	)
}

// HasPrefix says whether a path begins with the segments of prefix.
func HasPrefix(path, prefix [][]byte) bool {
	return len(path) >= len(prefix) && slices.EqualFunc(path[:len(prefix)], prefix, bytes.Equal)
}

// The encoding of AppendKey. Every part ends in a byte pair or has a fixed length, so that bytewise order is key order:
//
//	collection 00 tenant(8, big-endian) namespace(8, big-endian) segment*
//
// In a segment, 00 is written 00 FF; it ends with 00 01. An end sorts before any continuation, because 01 < FF and 00 is
// below every other byte.
const (
	escape        = 0x00
	escapedZero   = 0xFF
	endOfSegment  = 0x01
	fixedScopeLen = 16
)

// AppendKey appends an encoding of a key whose bytewise order is the order of keys, for stores with one key column.
// It does not validate the key.
func AppendKey(dst []byte, k Key) []byte {
	return appendPath(appendScope(dst, k.Collection, k.Tenant, k.Namespace), k.Path)
}

func appendScope(dst []byte, collection string, tenant, namespace uint64) []byte {
	dst = append(dst, collection...)
	dst = append(dst, escape)
	dst = binary.BigEndian.AppendUint64(dst, tenant)
	return binary.BigEndian.AppendUint64(dst, namespace)
}

func appendPath(dst []byte, path [][]byte) []byte {
	for _, segment := range path {
		for {
			zero := bytes.IndexByte(segment, escape)
			if zero < 0 {
				break
			}
			dst = append(dst, segment[:zero]...)
			dst = append(dst, escape, escapedZero)
			segment = segment[zero+1:]
		}
		dst = append(dst, segment...)
		dst = append(dst, escape, endOfSegment)
	}
	return dst
}

// ParseKey reads what AppendKey wrote and nothing else: every key has one encoding. The error is fault.Corrupt.
func ParseKey(encoded []byte) (Key, error) {
	end := bytes.IndexByte(encoded, escape)
	if end < 0 || len(encoded) < end+1+fixedScopeLen {
		return Key{}, corruptKey("its scope is cut off")
	}
	scope := encoded[end+1:]
	key := Key{
		Collection: string(encoded[:end]),
		Tenant:     binary.BigEndian.Uint64(scope),
		Namespace:  binary.BigEndian.Uint64(scope[8:]),
	}
	for rest := scope[fixedScopeLen:]; len(rest) > 0; {
		segment, tail, ok := cutSegment(rest)
		if !ok {
			return Key{}, corruptKey("a segment has no end")
		}
		key.Path = append(key.Path, segment)
		rest = tail
	}
	if key.Validate() != nil {
		return Key{}, corruptKey("it passes the limits of the protocol")
	}
	return key, nil
}

func corruptKey(why string) error {
	return fault.New(fault.Corrupt, "stored key is not valid: %s", why)
}

func cutSegment(encoded []byte) (segment, rest []byte, ok bool) {
	segment = []byte{}
	for {
		zero := bytes.IndexByte(encoded, escape)
		if zero < 0 || zero+1 == len(encoded) {
			return nil, nil, false
		}
		segment = append(segment, encoded[:zero]...)
		mark := encoded[zero+1]
		encoded = encoded[zero+2:]
		switch mark {
		case endOfSegment:
			return segment, encoded, true
		case escapedZero:
			segment = append(segment, escape)
		default:
			return nil, nil, false
		}
	}
}

// PrefixRange is the range from <= key < to of the encodings of all keys whose path begins with prefix.
func PrefixRange(collection string, tenant, namespace uint64, prefix [][]byte) (from, to []byte) {
	from = appendPath(appendScope(nil, collection, tenant, namespace), prefix)
	to = bytes.Clone(from)
	// The zero after the collection is below 0xFF, so the loop always ends before the name is touched.
	for to[len(to)-1] == 0xFF {
		to = to[:len(to)-1]
	}
	to[len(to)-1]++
	return from, to
}
