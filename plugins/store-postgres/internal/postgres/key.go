package postgres

import (
	"bytes"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// A path is kept as bytes whose order is the order of paths: each segment in groups of eight bytes, the last one filled up
// with zeros, and each group followed by a mark: how many of its bytes count, or moreFollow. The encoding of package store
// doubles zeros, and a path of eight segments of zeros would not fit into an index page; this one grows by an eighth.
const (
	groupSize  = 8
	moreFollow = groupSize + 1
)

func appendPath(dst []byte, path [][]byte) []byte {
	for _, segment := range path {
		for len(segment) > groupSize {
			dst = append(append(dst, segment[:groupSize]...), moreFollow)
			segment = segment[groupSize:]
		}
		var last [groupSize]byte
		copy(last[:], segment)
		dst = append(append(dst, last[:]...), byte(len(segment)))
	}
	return dst
}

// parsePath reads what appendPath wrote and nothing else. The error is fault.Corrupt.
func parsePath(encoded []byte) (path [][]byte, err error) {
	segment := []byte{}
	open := false
	for ; len(encoded) > groupSize; encoded = encoded[groupSize+1:] {
		group, mark := encoded[:groupSize], int(encoded[groupSize])
		if mark == moreFollow {
			segment, open = append(segment, group...), true
			continue
		}
		padded := mark > groupSize || len(bytes.Trim(group[mark:], "\x00")) > 0
		if empty := open && mark == 0; padded || empty {
			return nil, errKey()
		}
		path = append(path, append(segment, group[:mark]...))
		segment, open = []byte{}, false
	}
	if open || len(encoded) > 0 {
		return nil, errKey()
	}
	return path, nil
}

func errKey() error {
	return fault.New(fault.Corrupt, "a stored key is not valid; stop the hosts, keep a copy of the database for analysis and restore a backup")
}

// beyond is after the encoding of any path: no ninth byte of one is over moreFollow.
var beyond = bytes.Repeat([]byte{0xFF}, groupSize+1)

// scanRange is the range from <= k < to of encoded paths.
func scanRange(scan store.Scan) (from, to []byte) {
	from, to = appendPath([]byte{}, scan.Prefix), beyond
	if n := len(from); n > 0 {
		to = bytes.Clone(from)
		to[n-1]++ // A mark, so it does not overflow.
	}
	if len(scan.StartAfter) == 0 {
		return from, to
	}
	start := appendPath(nil, scan.StartAfter)
	if !scan.Reverse {
		start = successor(start)
	}
	switch {
	case scan.Reverse && bytes.Compare(start, to) < 0:
		to = start
	case !scan.Reverse && bytes.Compare(start, from) > 0:
		from = start
	}
	return from, to
}

// successor is the first byte string after k.
func successor(k []byte) []byte { return append(k, 0) }
