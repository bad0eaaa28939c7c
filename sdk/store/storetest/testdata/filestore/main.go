// Command filestore is a store with just enough durability, or too little, for the tests of the kit: it appends what each
// commit puts to a log and reads it at the next start. What it does between writing and answering is its "mode".
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "store-file", Version: "0.0.1",
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "dir", Type: sdk.String, Required: true, Help: "Folder of the log."},
			{Name: "mode", Type: sdk.String, Required: true, Help: "What is done for durability."},
		}},
		OpenStore: open,
	})
}

// entry is what one request put.
type entry struct {
	Keys   []store.Key
	Bodies [][]byte
}

type fileStore struct {
	*model.Store
	dir, mode string
	log       *os.File
	other     *os.File

	// mu orders writes; syncing lets one sync serve all that were written before it.
	mu, syncing     sync.Mutex
	written, synced int
	broken          error
}

func open(_ context.Context, config json.RawMessage) (store.Store, error) {
	var body struct{ Dir, Mode string }
	if err := json.Unmarshal(config, &body); err != nil {
		return nil, err
	}
	s := &fileStore{Store: model.New().Open(), dir: body.Dir, mode: body.Mode}
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if s.mode == "O_DSYNC" {
		flags |= syscall.O_DSYNC
	}
	var err error
	if s.log, err = os.OpenFile(filepath.Join(s.dir, "log"), flags, 0o600); err != nil {
		return nil, err
	}
	if s.other, err = os.Create(filepath.Join(s.dir, "other")); err != nil {
		return nil, err
	}
	err = s.replay()
	// What reading the log took must not hide what a scan takes.
	debug.FreeOSMemory()
	return s, err
}

func (s *fileStore) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	if s.mode != "range in memory" {
		return s.Store.Scan(ctx, scan, yield)
	}
	var all []store.Record
	err := s.Store.Scan(ctx, scan, func(record store.Record) error {
		record.Body = bytes.Clone(record.Body)
		all = append(all, record)
		return nil
	})
	for _, record := range all {
		err = errors.Join(err, yield(record))
	}
	return err
}

func (s *fileStore) replay() error {
	files, err := filepath.Glob(filepath.Join(s.dir, "part*"))
	if err != nil {
		return err
	}
	all, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err
	}
	for _, name := range files {
		part, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		all = append(all, part...)
	}
	for r := bytes.NewReader(all); ; {
		var length uint32
		if err := binary.Read(r, binary.BigEndian, &length); err != nil {
			return nil // The end, or a write that was cut off.
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(r, frame); err != nil {
			return nil
		}
		if s.encoded() {
			if frame, err = base64.StdEncoding.DecodeString(string(frame)); err != nil {
				return err
			}
		}
		var e entry
		if err := gob.NewDecoder(bytes.NewReader(frame)).Decode(&e); err != nil {
			return err
		}
		var commits []store.Commit
		for i, k := range e.Keys {
			s.written++
			id := [16]byte{0xff}
			binary.BigEndian.PutUint64(id[8:], uint64(s.written))
			commits = append(commits, store.Commit{ID: id, Ops: []store.Op{{Kind: store.OpPut, Key: k, Body: e.Bodies[i]}}})
		}
		if _, err := s.Store.Commit(context.Background(), commits); err != nil {
			return err
		}
	}
}

func (s *fileStore) encoded() bool { return s.mode == "encoded" || s.mode == "encoded, no sync" }

func (s *fileStore) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	var e entry
	for _, commit := range commits {
		for _, op := range commit.Ops {
			e.Keys, e.Bodies = append(e.Keys, op.Key), append(e.Bodies, op.Body)
		}
	}
	var buffer bytes.Buffer
	if err := gob.NewEncoder(&buffer).Encode(e); err != nil {
		return nil, err
	}
	frame := buffer.Bytes()
	if s.encoded() {
		frame = []byte(base64.StdEncoding.EncodeToString(frame))
	}
	if err := s.keep(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log cannot be written")
	}
	return s.Store.Commit(ctx, commits)
}

func (s *fileStore) keep(frame []byte) error {
	if s.mode == "rename" || s.mode == "rename, directory not synced" {
		return s.keepPart(frame)
	}
	s.mu.Lock()
	if s.mode == "sync before write" {
		_ = syscall.Fdatasync(int(s.log.Fd()))
	}
	_, err := s.log.Write(frame)
	s.written++
	mine := s.written
	s.mu.Unlock()
	if err != nil {
		return err
	}
	switch s.mode {
	case "fdatasync", "encoded", "range in memory":
		return s.sync(mine)
	case "fsync":
		return s.alone(s.log.Sync)
	case "O_DSYNC", "sync before write", "no sync", "encoded, no sync":
		return nil
	case "sync after answer":
		go s.log.Sync()
		return nil
	case "sync of another file":
		return s.other.Sync()
	case "sync error ignored":
		_ = s.log.Sync()
		return nil
	case "sync tried again":
		for range 3 {
			if err = s.log.Sync(); err == nil {
				return nil
			}
		}
		return nil
	}
	return fmt.Errorf("mode %q", s.mode)
}

// sync is a group commit: whoever comes first syncs for all that have written.
func (s *fileStore) sync(mine int) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.broken != nil || s.synced >= mine {
		return s.broken
	}
	s.mu.Lock()
	written := s.written
	s.mu.Unlock()
	// After a failed sync nobody knows what is on the disk: the store serves no more commits.
	if s.broken = syscall.Fdatasync(int(s.log.Fd())); s.broken == nil {
		s.synced = written
	}
	return s.broken
}

// keepPart keeps a frame in a file of its own, which appears whole or not at all.
func (s *fileStore) keepPart(frame []byte) error {
	temp, err := os.CreateTemp(s.dir, "temp")
	if err != nil {
		return err
	}
	_, err = temp.Write(frame)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), filepath.Join(s.dir, "part"+filepath.Base(temp.Name()))); err != nil {
		return err
	}
	if s.mode != "rename" {
		return nil
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(s.alone(dir.Sync), dir.Close())
}

// alone syncs, and never again after a sync that failed: that one may have been the one that another write was waiting for.
func (s *fileStore) alone(sync func() error) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.broken == nil {
		s.broken = sync()
	}
	return s.broken
}
