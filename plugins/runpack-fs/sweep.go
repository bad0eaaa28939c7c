package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"time"
)

const (
	// defaultSweepAfter is the age at which the protocol lets an unfinished bundle be forgotten.
	defaultSweepAfter = 24 * time.Hour
	// minSweepAfter keeps a configuration from sweeping bundles that a slow host is still writing.
	minSweepAfter = time.Hour
	// sweepEvery bounds how much longer than its age a leftover stays.
	sweepEvery = time.Hour
)

func (s *sink) sweepHourly(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.sweep(now)
		}
	}
}

// sweep removes what has been in the staging directory for longer than sweepAfter, whichever process began it: its host
// has given it up, or the process was killed.
func (s *sink) sweep(now time.Time) {
	names, err := s.staging.names()
	for _, name := range names {
		st, statErr := s.staging.stat(name)
		if statErr != nil || now.Sub(time.Unix(st.Mtim.Unix())) < s.sweepAfter {
			continue
		}
		err = errors.Join(err, s.discard(name))
	}
	if err != nil {
		s.log.Warn("leftovers could not be swept; the next sweep tries again", "error", err)
	}
}

// discard forgets a leftover. It is renamed before anything of it is removed: a process that finishes the bundle at this
// moment either has published it whole or finds it gone, and never publishes what is half removed.
func (s *sink) discard(name string) error {
	s.mu.Lock()
	delete(s.unfinished, name)
	s.mu.Unlock()
	grave := "swept-" + rand.Text()
	if err := s.staging.move(name, s.staging, grave); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return s.staging.removeAll(grave)
}
