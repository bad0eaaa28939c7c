package catalog

import (
	"cmp"
	"context"
	"io"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// sinkClient is a runpack.Sink whose calls go to whichever process lives. Nothing is made twice: an export that fails is
// begun anew by its caller, and the bundle that was left is swept.
type sinkClient struct {
	plugin *supervisor

	mu sync.Mutex
	// begun are the processes in which unfinished bundles are, by id. One that is replaced lives until they are finished or
	// aborted: what is unfinished is known to the process that began it alone.
	begun map[string]*session
}

func newSink(plugin *supervisor) runpack.Sink {
	if plugin == nil {
		return nil
	}
	return &sinkClient{plugin: plugin, begun: map[string]*session{}}
}

func (s *sinkClient) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().commit)
	defer cancel()
	err = s.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		if id, err = session.sink.Begin(ctx, key, tags); err == nil {
			s.plugin.hold(session)
			s.mu.Lock()
			s.begun[id] = session
			s.mu.Unlock()
		}
		return err
	})
	return id, err
}

// inBundle makes a call for an unfinished bundle, on the process in which it is.
func (s *sinkClient) inBundle(ctx context.Context, id string, do func(context.Context, runpack.Sink) error) error {
	s.mu.Lock()
	began := s.begun[id]
	s.mu.Unlock()
	if began == nil {
		return s.plugin.call(ctx, false, func(ctx context.Context, session *session) error { return do(ctx, session.sink) })
	}
	err := do(ctx, began.sink)
	s.plugin.report(err)
	return err
}

// letGo ends the holding of the process of a bundle that is finished or given up.
func (s *sinkClient) letGo(id string) {
	s.mu.Lock()
	session := s.begun[id]
	delete(s.begun, id)
	s.mu.Unlock()
	if session != nil {
		s.plugin.release(session)
	}
}

// Write may take as long as it moves: the wait begins anew with each chunk that is read from content, and stands still
// while content itself is waited for.
func (s *sinkClient) Write(ctx context.Context, id, path string, content io.Reader) (written runpack.Written, err error) {
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	defer cancel()
	err = s.inBundle(ctx, id, func(ctx context.Context, sink runpack.Sink) (err error) {
		written, err = sink.Write(ctx, id, path, patientReader{content, wait})
		return err
	})
	return written, ended(ctx, err)
}

type patientReader struct {
	io.Reader
	wait *patience
}

func (r patientReader) Read(p []byte) (int, error) {
	r.wait.busy()
	defer r.wait.heard()
	return r.Reader.Read(p)
}

// Finish spends the id, whatever comes of it: what could not be finished is begun anew, and swept.
func (s *sinkClient) Finish(ctx context.Context, id, manifestPath string, manifestSHA256 [32]byte) (uri string, err error) {
	defer s.letGo(id)
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().bundle)
	defer cancel()
	err = s.inBundle(ctx, id, func(ctx context.Context, sink runpack.Sink) (err error) {
		uri, err = sink.Finish(ctx, id, manifestPath, manifestSHA256)
		return err
	})
	return uri, err
}

func (s *sinkClient) Abort(ctx context.Context, id string) error {
	defer s.letGo(id)
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().bundle)
	defer cancel()
	return s.inBundle(ctx, id, func(ctx context.Context, sink runpack.Sink) error { return sink.Abort(ctx, id) })
}

// Open waits for each read of its own: between two of them the caller may take its time. The process is held until Close.
func (s *sinkClient) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	var (
		file io.ReadCloser
		held *session
	)
	err := s.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		if file, err = session.sink.Open(ctx, uri, path); err == nil {
			held = session
			s.plugin.hold(session)
		}
		return err
	})
	wait.busy()
	if err != nil {
		cancel()
		return nil, ended(ctx, err)
	}
	release := sync.OnceFunc(func() {
		cancel()
		s.plugin.release(held)
	})
	return &openFile{file, ctx, wait, release, s.plugin}, nil
}

type openFile struct {
	io.ReadCloser
	ctx     context.Context
	wait    *patience
	release func()
	plugin  *supervisor
}

func (f *openFile) Read(p []byte) (int, error) {
	f.wait.heard()
	defer f.wait.busy()
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		f.plugin.report(err)
		err = ended(f.ctx, err)
	}
	return n, err
}

func (f *openFile) Close() error {
	defer f.release()
	return f.ReadCloser.Close()
}

func (s *sinkClient) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	defer cancel()
	var stopped error // what the caller's function answered, which is not the plugin's fault
	err := s.plugin.call(ctx, false, func(ctx context.Context, session *session) error {
		err := session.sink.List(ctx, tenant, namespace, func(b runpack.Bundle) error {
			wait.busy()
			defer wait.heard()
			stopped = yield(b)
			return stopped
		})
		if stopped != nil {
			return nil
		}
		return err
	})
	return cmp.Or(stopped, ended(ctx, err))
}

func (s *sinkClient) Delete(ctx context.Context, uri string) error {
	ctx, cancel := context.WithTimeout(ctx, s.plugin.pace.Load().bundle)
	defer cancel()
	return s.plugin.call(ctx, false, func(ctx context.Context, session *session) error { return session.sink.Delete(ctx, uri) })
}

// Close does nothing: the catalog ends the plugin.
func (s *sinkClient) Close() error { return nil }
