package main

import (
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// verified reads a file and answers CORRUPT instead of io.EOF when its bytes are not those that were written.
type verified struct {
	f    *os.File
	sum  hash.Hash
	want indexFile
	left uint64
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.f.Read(p)
	v.sum.Write(p[:n])
	if uint64(n) > v.left {
		return 0, v.corrupt()
	}
	v.left -= uint64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, diskFault(err, "read a file of a bundle")
	case v.left > 0 || hex.EncodeToString(v.sum.Sum(nil)) != v.want.SHA256:
		return n, v.corrupt()
	}
	return n, io.EOF
}

func (v *verified) corrupt() error {
	return fault.New(fault.Corrupt, "the bytes of %q are not those that were written", v.want.Path)
}

func (v *verified) Close() error { return v.f.Close() }
