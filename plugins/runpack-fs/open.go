package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// config is the body of the plugin's configuration block.
type config struct {
	Path       string `json:"path"`
	SweepAfter string `json:"sweep_after"`
}

// open is what the host configures.
func open(_ context.Context, body json.RawMessage) (runpack.Sink, error) {
	var c config
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the configuration is not what the schema asks for")
	}
	if c.Path == "" {
		return nil, fault.New(fault.Invalid, "path: must name a directory")
	}
	sweepAfter := defaultSweepAfter
	if c.SweepAfter != "" {
		var err error
		if sweepAfter, err = time.ParseDuration(c.SweepAfter); err != nil || sweepAfter < minSweepAfter {
			return nil, fault.New(fault.Invalid, "sweep_after: %q is not a duration of at least %s", c.SweepAfter, minSweepAfter)
		}
	}
	return openSink(c.Path, sweepAfter, sdk.Logger())
}

// openSink opens the sink in the directory at path, which is made when its parent exists.
func openSink(path string, sweepAfter time.Duration, log *slog.Logger) (*sink, error) {
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	staging, err := root.make(stagingName)
	if err != nil {
		root.Close()
		return nil, diskFault(err, "path: make "+stagingName)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sweeping sync.WaitGroup
	s := &sink{
		root: root, staging: staging, sweepAfter: sweepAfter, log: log, unfinished: map[string]*unfinished{},
		stop: func() { cancel(); sweeping.Wait() },
	}
	s.sweep(time.Now())
	sweeping.Go(func() { s.sweepHourly(ctx) })
	return s, nil
}

// openRoot opens the root itself. The operator names it, so symlinks on the way to it are followed.
func openRoot(path string) (dir, error) {
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		if errors.Is(err, fs.ErrNotExist) {
			return dir{}, fault.New(fault.Invalid, "path: the directory above %s does not exist", path)
		}
		return dir{}, diskFault(err, "path: make "+path)
	}
	f, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return dir{}, fault.New(fault.Invalid, "path: %s is not a directory", path)
	}
	if err != nil {
		return dir{}, diskFault(err, "path: open "+path)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return dir{}, diskFault(err, "path: open "+path)
	}
	// Whoever may write here may replace a bundle with another that has a true hash of its own.
	if info.Mode().Perm()&0o022 != 0 {
		f.Close()
		return dir{}, fault.New(fault.Invalid, "path: others may write to %s: run chmod go-w %s", path, path)
	}
	return dir{f}, nil
}
