package store

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest is a SHA-256 over the commit's ops, in order, without its id. A store keeps it beside the id to tell a repeat
// from an id that is used again for something else. It is the same on every host and in every version of this protocol.
func (c Commit) Digest() [32]byte {
	h := sha256.New()
	buf := binary.BigEndian.AppendUint64(nil, uint64(len(c.Ops)))
	for _, op := range c.Ops {
		buf = op.appendDigest(buf)
		h.Write(buf)
		h.Write(op.Body) // Its length is in buf already.
		buf = buf[:0]
	}
	return [32]byte(h.Sum(nil))
}

// appendDigest appends all of an op but its body. Every part has a fixed length or is preceded by it, so that no two
// different ops have the same bytes.
func (o Op) appendDigest(dst []byte) []byte {
	dst = append(dst, byte(o.Kind), byte(o.Expect.kind))
	for _, n := range []uint64{o.Expect.version, uint64(o.Delta), o.Max} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	key := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, 0)
	dst = AppendKey(dst, o.Key)
	binary.BigEndian.PutUint64(dst[key:], uint64(len(dst)-key-8))
	return binary.BigEndian.AppendUint64(dst, uint64(len(o.Body)))
}
