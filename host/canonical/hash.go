package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// HashAlgorithm is the name of a hash function; only sha256 exists (contract §8.1).
type HashAlgorithm string

// SHA256 is the one hash algorithm.
const SHA256 HashAlgorithm = "sha256"

// Names returns the algorithms that a document may name.
func (HashAlgorithm) Names() []string { return []string{string(SHA256)} }

// HashDigest is a digest as it stands in documents. A value that comes from outside is an opaque string: it is compared, never decoded.
type HashDigest struct {
	Algorithm HashAlgorithm `member:"algorithm"`
	Value     string        `member:"value"`
}

// HashBytes hashes raw bytes.
func HashBytes(data []byte) HashDigest {
	sum := sha256.Sum256(data)
	return Digest(sum)
}

// Digest makes a HashDigest of a sum.
func Digest(sum [sha256.Size]byte) HashDigest {
	return HashDigest{Algorithm: SHA256, Value: hex.EncodeToString(sum[:])}
}

// Hash hashes the canonical form of a value that Append knows how to write (contract §8.7).
func Hash(v any) HashDigest {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	*buf = Append((*buf)[:0], v, Canonical)
	return HashBytes(*buf)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}
