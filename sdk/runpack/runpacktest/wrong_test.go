package runpacktest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack/runpacktest/internal/model"
)

var errDead = errors.New("killed")

// wrongSink breaks one promise.
type wrongSink struct {
	name, caughtBy string
	wrap           func(*model.Sink) runpack.Sink
	wire           func(pb.RunpackServer) pb.RunpackServer
}

var wrongSinks = []wrongSink{
	{name: "alters bytes", caughtBy: "Bytes", wrap: onOpen(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) })},
	{name: "cuts off at a chunk", caughtBy: "Bytes", wrap: onOpen(func(b []byte) []byte { return b[:min(len(b), runpack.MaxChunk)] })},
	{name: "loses tags", caughtBy: "Bytes", wrap: onList(func(b *runpack.Bundle) { b.Tags = nil })},
	{name: "sorts files", caughtBy: "Bytes", wrap: onList(func(b *runpack.Bundle) {
		slices.SortFunc(b.Files, func(x, y runpack.File) int { return cmp.Compare(x.Path, y.Path) })
	})},
	{name: "answers a wrong sum", caughtBy: "Bytes", wrap: func(m *model.Sink) runpack.Sink { return wrongSum{m} }},
	{name: "no limit of files", caughtBy: "FileCount", wrap: func(m *model.Sink) runpack.Sink { return &noLimit{Sink: m} }},
	{name: "visible before Finish", caughtBy: "InvisibleBeforeFinish", wrap: func(m *model.Sink) runpack.Sink { return &eager{Sink: m} }},
	{name: "another URI for the same bytes", caughtBy: "SameBytesSameURI", wrap: func(m *model.Sink) runpack.Sink { return &salted{Sink: m} }},
	{name: "overwrites", caughtBy: "OtherBytesBeside", wrap: func(m *model.Sink) runpack.Sink { return &overwriting{Sink: m} }},
	{name: "tells bundles apart by their manifest only", caughtBy: "OtherBytesBeside", wrap: func(m *model.Sink) runpack.Sink { return &byManifest{Sink: m} }},
	{name: "ignores the manifest's sum", caughtBy: "ManifestSum", wrap: func(m *model.Sink) runpack.Sink { return &trusting{Sink: m} }},
	{name: "writes a path twice", caughtBy: "SecondWrite", wrap: func(m *model.Sink) runpack.Sink { return rewriting{m} }},
	{name: "refuses to abort the unknown", caughtBy: "UnknownIDs", wrap: func(m *model.Sink) runpack.Sink { return strictAbort{m} }},
	{name: "an unknown id is its own fault", caughtBy: "UnknownIDs", wrap: func(m *model.Sink) runpack.Sink { return vague{m} }},
	{name: "trims URIs", caughtBy: "UnknownURIs", wrap: func(m *model.Sink) runpack.Sink { return trimming{m} }},
	{name: "deletes by prefix", caughtBy: "UnknownURIs", wrap: func(m *model.Sink) runpack.Sink { return byPrefix{m} }},
	{name: "follows path traversal", caughtBy: "Paths", wrap: func(m *model.Sink) runpack.Sink { return traversing{m} }},
	{name: "cleans paths", caughtBy: "Paths", wrap: func(m *model.Sink) runpack.Sink { return cleaning{m} }},
	{name: "ids are path syntax", caughtBy: "IDs", wrap: func(m *model.Sink) runpack.Sink { return pathIDs{m} }},
	{name: "folds case", caughtBy: "IDs", wrap: onKey(func(k *runpack.Key) { k.Scenario = strings.ToLower(k.Scenario) })},
	{name: "cuts ids at NUL", caughtBy: "IDs", wrap: onKey(func(k *runpack.Key) { k.Run, _, _ = strings.Cut(k.Run, "\x00") })},
	{name: "cuts long ids", caughtBy: "IDs", wrap: onKey(func(k *runpack.Key) { k.Run = k.Run[:min(len(k.Run), 255)] })},
	{name: "forgets the scenario's hash", caughtBy: "IDs", wrap: onKey(func(k *runpack.Key) { k.SpecSHA256 = specHash })},
	{name: "lists across tenants", caughtBy: "Scopes", wrap: func(m *model.Sink) runpack.Sink { return leaking{m} }},
	{name: "lists by prefix of the number", caughtBy: "Scopes", wrap: func(m *model.Sink) runpack.Sink { return numberPrefix{m} }},
	{name: "signed tenants", caughtBy: "Scopes", wrap: onKey(func(k *runpack.Key) { k.Tenant &= 1<<63 - 1 })},
	{name: "lists one page", caughtBy: "ListMany", wrap: func(m *model.Sink) runpack.Sink { return onePage{m} }},
	{name: "lists out of order", caughtBy: "ListMany", wrap: func(m *model.Sink) runpack.Sink { return backwards{m} }},
	{name: "aborts everything", caughtBy: "Abort", wrap: func(m *model.Sink) runpack.Sink { return &abortsAll{Sink: m} }},
	{name: "Delete removes another", caughtBy: "Delete", wrap: func(m *model.Sink) runpack.Sink { return deletesRun{m} }},
	{name: "Delete only hides", caughtBy: "Delete", wrap: func(m *model.Sink) runpack.Sink { return &hiding{Sink: m, hidden: map[string]bool{}} }},
	{name: "one file at a time, of any bundle", caughtBy: "Concurrent", wrap: func(m *model.Sink) runpack.Sink { return &oneBuffer{Sink: m} }},
	{name: "keeps a broken file", caughtBy: "FailedContent", wrap: func(m *model.Sink) runpack.Sink { return swallowing{m} }},
	{name: "keeps a cancelled file", caughtBy: "Cancel", wrap: func(m *model.Sink) runpack.Sink { return swallowing{m} }},
	{name: "forgets at a restart", caughtBy: "Restart", wrap: func(m *model.Sink) runpack.Sink { return &forgetful{Sink: m, mine: map[string]bool{}} }},
	{name: "answers before it publishes", caughtBy: "KillWhileWriting", wrap: func(m *model.Sink) runpack.Sink { return &forgetful{Sink: m, mine: map[string]bool{}} }},
	{name: "caches its list", caughtBy: "TwoProcesses", wrap: func(m *model.Sink) runpack.Sink { return &forgetful{Sink: m, mine: map[string]bool{}} }},
	{name: "takes any chunk", caughtBy: "Wire", wire: func(s pb.RunpackServer) pb.RunpackServer { return anyChunk{RunpackServer: s} }},
	{name: "takes any sum", caughtBy: "Wire", wire: func(s pb.RunpackServer) pb.RunpackServer { return anySum{RunpackServer: s} }},
	{name: "answers whole files", caughtBy: "Wire", wire: func(s pb.RunpackServer) pb.RunpackServer { return wholeFile{RunpackServer: s} }},
}

type readCloser struct {
	io.Reader
	io.Closer
}

// onOpen alters what is read.
func onOpen(alter func([]byte) []byte) func(*model.Sink) runpack.Sink {
	return func(m *model.Sink) runpack.Sink { return altering{m, alter} }
}

type altering struct {
	*model.Sink
	alter func([]byte) []byte
}

func (s altering) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	r, err := s.Sink.Open(ctx, uri, path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return readCloser{bytes.NewReader(s.alter(content)), r}, err
}

// onList alters what is listed.
func onList(alter func(*runpack.Bundle)) func(*model.Sink) runpack.Sink {
	return func(m *model.Sink) runpack.Sink { return altersList{m, alter} }
}

type altersList struct {
	*model.Sink
	alter func(*runpack.Bundle)
}

func (s altersList) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	return s.Sink.List(ctx, tenant, namespace, func(b runpack.Bundle) error {
		s.alter(&b)
		return yield(b)
	})
}

// onKey alters what a bundle is of.
func onKey(alter func(*runpack.Key)) func(*model.Sink) runpack.Sink {
	return func(m *model.Sink) runpack.Sink { return altersKey{m, alter} }
}

type altersKey struct {
	*model.Sink
	alter func(*runpack.Key)
}

func (s altersKey) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	s.alter(&key)
	return s.Sink.Begin(ctx, key, tags)
}

type wrongSum struct{ *model.Sink }

func (s wrongSum) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	w, err := s.Sink.Write(ctx, id, path, content)
	w.SHA256[31] ^= 1
	return w, err
}

// noLimit drops what is too much instead of refusing it.
type noLimit struct{ *model.Sink }

func (s noLimit) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	w, err := s.Sink.Write(ctx, id, path, content)
	if fault.Is(err, fault.TooLarge) {
		return w, nil
	}
	return w, err
}

// eager finishes a copy of every bundle with each manifest that it sees.
type eager struct {
	*model.Sink
	mu     sync.Mutex
	copies map[string]string
}

func (s *eager) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.Sink.Begin(ctx, key, tags)
	if err != nil {
		return "", err
	}
	if s.copies == nil {
		s.copies = map[string]string{}
	}
	s.copies[id], err = s.Sink.Begin(ctx, key, tags)
	return id, err
}

func (s *eager) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	var twin bytes.Buffer
	w, err := s.Sink.Write(ctx, id, path, io.TeeReader(content, &twin))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		_, err = s.Sink.Write(ctx, s.copies[id], path, &twin)
	}
	if err == nil && path == manifestPath {
		_, err = s.Sink.Finish(ctx, s.copies[id], path, w.SHA256)
	}
	return w, err
}

// salted gives each bundle a tag of its own in its content.
type salted struct {
	*model.Sink
	mu sync.Mutex
	n  int
}

func (s *salted) Finish(ctx context.Context, id, manifest string, sum [32]byte) (string, error) {
	s.mu.Lock()
	s.n++
	salt := fmt.Sprint("salt-", s.n)
	s.mu.Unlock()
	if _, err := s.Sink.Write(ctx, id, salt, strings.NewReader(salt)); err != nil {
		return "", err
	}
	return s.Sink.Finish(ctx, id, manifest, sum)
}

// overwriting removes the key's other bundles.
type overwriting struct{ *model.Sink }

func (s overwriting) Finish(ctx context.Context, id, manifest string, sum [32]byte) (string, error) {
	uri, err := s.Sink.Finish(ctx, id, manifest, sum)
	if err != nil {
		return "", err
	}
	return uri, s.Sink.List(ctx, 1, 2, func(b runpack.Bundle) error {
		if b.URI == uri {
			return nil
		}
		return s.Sink.Delete(ctx, b.URI)
	})
}

// byManifest answers the bundle that has the manifest already.
type byManifest struct{ *model.Sink }

func (s byManifest) Finish(ctx context.Context, id, manifest string, sum [32]byte) (uri string, err error) {
	err = s.List(ctx, 1, 2, func(b runpack.Bundle) error {
		if b.ManifestSHA256 == sum {
			uri = b.URI
		}
		return nil
	})
	if uri != "" || err != nil {
		return uri, err
	}
	return s.Sink.Finish(ctx, id, manifest, sum)
}

// trusting finishes with whatever manifest was written.
type trusting struct{ *model.Sink }

func (s trusting) Finish(ctx context.Context, id, manifest string, sum [32]byte) (string, error) {
	uri, err := s.Sink.Finish(ctx, id, manifest, sum)
	if fault.Is(err, fault.Corrupt) {
		return s.Sink.Finish(ctx, id, manifest, sha256.Sum256([]byte("manifest of manifest")))
	}
	return uri, err
}

type rewriting struct{ *model.Sink }

func (s rewriting) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	w, err := s.Sink.Write(ctx, id, path, content)
	if fault.Is(err, fault.Invalid) && runpack.ValidatePath(path) == nil {
		return w, nil
	}
	return w, err
}

type strictAbort struct{ *model.Sink }

func (s strictAbort) Abort(ctx context.Context, id string) error {
	if len(id) != 26 {
		return fault.New(fault.NotFound, "unknown")
	}
	return s.Sink.Abort(ctx, id)
}

type vague struct{ *model.Sink }

func (s vague) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	w, err := s.Sink.Write(ctx, id, path, content)
	if fault.Is(err, fault.NotFound) {
		return w, fault.New(fault.Internal, "no idea")
	}
	return w, err
}

type trimming struct{ *model.Sink }

func (s trimming) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	return s.Sink.Open(ctx, strings.Trim(uri, " /."), path)
}

type byPrefix struct{ *model.Sink }

func (s byPrefix) Delete(ctx context.Context, uri string) error {
	return s.List(ctx, 1, 2, func(b runpack.Bundle) error {
		if strings.HasPrefix(b.URI, uri) {
			return s.Sink.Delete(ctx, b.URI)
		}
		return nil
	})
}

// traversing joins the path to a directory and opens what is there.
type traversing struct{ *model.Sink }

func (s traversing) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	w, err := s.Sink.Write(ctx, id, path, content)
	if err != nil && strings.Contains(path, "..") {
		_ = os.WriteFile(filepath.Join(s.Dir, path), []byte("escaped"), 0o600)
	}
	return w, err
}

type cleaning struct{ *model.Sink }

func (s cleaning) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	return s.Sink.Write(ctx, id, strings.Trim(filepath.Clean("/"+path), "/"), content)
}

// pathIDs makes a file for the scenario.
type pathIDs struct{ *model.Sink }

func (s pathIDs) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	_ = os.WriteFile(filepath.Join(s.Dir, "scenarios", key.Scenario), nil, 0o600)
	return s.Sink.Begin(ctx, key, tags)
}

type leaking struct{ *model.Sink }

func (s leaking) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	for _, t := range []uint64{tenant, 10} {
		if err := s.Sink.List(ctx, t, namespace, yield); err != nil || tenant == 10 {
			return err
		}
	}
	return nil
}

// numberPrefix compares the text of the numbers.
type numberPrefix struct{ *model.Sink }

func (s numberPrefix) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	return s.Sink.List(ctx, tenant, 0, func(b runpack.Bundle) error {
		if namespace != 0 && !strings.HasPrefix(fmt.Sprint(b.Key.Namespace), fmt.Sprint(namespace)) {
			return nil
		}
		return yield(b)
	})
}

type onePage struct{ *model.Sink }

func (s onePage) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	n := 0
	return s.Sink.List(ctx, tenant, namespace, func(b runpack.Bundle) error {
		if n++; n > 100 {
			return nil
		}
		return yield(b)
	})
}

type backwards struct{ *model.Sink }

func (s backwards) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	var all []runpack.Bundle
	err := s.Sink.List(ctx, tenant, namespace, func(b runpack.Bundle) error {
		all = append(all, b)
		return nil
	})
	for _, b := range slices.Backward(all) {
		if err := yield(b); err != nil {
			return err
		}
	}
	return err
}

type abortsAll struct {
	*model.Sink
	mu  sync.Mutex
	ids []string
}

func (s *abortsAll) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	id, err := s.Sink.Begin(ctx, key, tags)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
	return id, err
}

func (s *abortsAll) Abort(ctx context.Context, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.ids {
		if err := s.Sink.Abort(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// deletesRun removes every bundle of the run.
type deletesRun struct{ *model.Sink }

func (s deletesRun) Delete(ctx context.Context, uri string) error {
	if err := s.Sink.Delete(ctx, uri); err != nil {
		return err
	}
	return s.List(ctx, 1, 2, func(b runpack.Bundle) error {
		if b.Key.Run != "run" {
			return nil
		}
		return s.Sink.Delete(ctx, b.URI)
	})
}

// hiding forgets at a restart what was deleted.
type hiding struct {
	*model.Sink
	hidden map[string]bool
}

func (s *hiding) Delete(ctx context.Context, uri string) error {
	if s.hidden[uri] {
		return fault.New(fault.NotFound, "hidden")
	}
	s.hidden[uri] = true
	return nil
}

func (s *hiding) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	if s.hidden[uri] {
		return nil, fault.New(fault.NotFound, "hidden")
	}
	return s.Sink.Open(ctx, uri, path)
}

// oneBuffer answers a Write that comes while another runs with what the other wrote.
type oneBuffer struct {
	*model.Sink
	mu   sync.Mutex
	last []byte
}

func (s *oneBuffer) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	own, err := io.ReadAll(content)
	if err != nil {
		return runpack.Written{}, err
	}
	s.mu.Lock()
	s.last = own
	s.mu.Unlock()
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(own) > runpack.MaxChunk && bytes.Equal(s.last[:1], []byte{0}) {
		own = s.last
	}
	return s.Sink.Write(ctx, id, path, bytes.NewReader(own))
}

// swallowing takes a broken stream for its end.
type swallowing struct{ *model.Sink }

func (s swallowing) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	return s.Sink.Write(context.WithoutCancel(ctx), id, path, lenient{content})
}

type lenient struct{ io.Reader }

func (r lenient) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// forgetful knows what it finished itself and nothing else.
type forgetful struct {
	*model.Sink
	mu   sync.Mutex
	mine map[string]bool
}

func (s *forgetful) Finish(ctx context.Context, id, manifest string, sum [32]byte) (string, error) {
	uri, err := s.Sink.Finish(ctx, id, manifest, sum)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mine[uri] = true
	return uri, err
}

func (s *forgetful) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	return s.Sink.List(ctx, tenant, namespace, func(b runpack.Bundle) error {
		s.mu.Lock()
		mine := s.mine[b.URI]
		s.mu.Unlock()
		if !mine {
			return nil
		}
		return yield(b)
	})
}
