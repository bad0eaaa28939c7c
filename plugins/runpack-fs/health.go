package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// probeSize is the size in bytes of what Health writes: a block, so that a full disk refuses it.
const probeSize = 4096

// Health tries what the next bundle will need: a file of one block in the staging directory. A full or read-only disk,
// and a root that was removed or unmounted, turn readiness red before an export is lost.
func (s *sink) Health(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		err = s.probe("health-" + rand.Text())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Unavailable, err, "the directory of the bundles was removed or replaced: restore it and restart this plugin")
	}
	return diskFault(err, "write to the directory of the bundles")
}

func (s *sink) probe(name string) error {
	f, err := s.staging.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeSize))
	return errors.Join(err, f.Close(), s.staging.removeAll(name))
}
