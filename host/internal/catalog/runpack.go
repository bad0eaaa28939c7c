package catalog

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// sinkClient is a runpack.Sink whose calls go to whichever process lives. Nothing is made twice: an export that fails is
// begun anew by its caller, and the bundle that was left is swept.
type sinkClient struct {
	plugin *supervisor
}

func newSink(plugin *supervisor) runpack.Sink {
	if plugin == nil {
		return nil
	}
	return &sinkClient{plugin}
}

// within makes one call that has a deadline as a whole.
func (s *sinkClient) within(ctx context.Context, deadline time.Duration, do func(context.Context, runpack.Sink) error) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	return s.plugin.call(ctx, false, func(ctx context.Context, session *session) error { return do(ctx, session.sink) })
}

func (s *sinkClient) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (id string, err error) {
	err = s.within(ctx, s.plugin.pace.Load().commit, func(ctx context.Context, sink runpack.Sink) (err error) {
		id, err = sink.Begin(ctx, key, tags)
		return err
	})
	return id, err
}

// Write may take as long as it moves: the wait begins anew with each chunk that is read from content, and stands still
// while content itself is waited for.
func (s *sinkClient) Write(ctx context.Context, id, path string, content io.Reader) (written runpack.Written, err error) {
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	defer cancel()
	err = s.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		written, err = session.sink.Write(ctx, id, path, patientReader{content, wait})
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

func (s *sinkClient) Finish(ctx context.Context, id, manifestPath string, manifestSHA256 [32]byte) (uri string, err error) {
	err = s.within(ctx, s.plugin.pace.Load().bundle, func(ctx context.Context, sink runpack.Sink) (err error) {
		uri, err = sink.Finish(ctx, id, manifestPath, manifestSHA256)
		return err
	})
	return uri, err
}

func (s *sinkClient) Abort(ctx context.Context, id string) error {
	return s.within(ctx, s.plugin.pace.Load().bundle, func(ctx context.Context, sink runpack.Sink) error { return sink.Abort(ctx, id) })
}

// Open waits for each read of its own: between two of them the caller may take its time.
func (s *sinkClient) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	ctx, wait, cancel := withPatience(ctx, s.plugin.pace.Load().silence)
	var file io.ReadCloser
	err := s.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		file, err = session.sink.Open(ctx, uri, path)
		return err
	})
	wait.busy()
	if err != nil {
		cancel()
		return nil, ended(ctx, err)
	}
	return &openFile{file, ctx, wait, cancel, s.plugin}, nil
}

type openFile struct {
	io.ReadCloser
	ctx    context.Context
	wait   *patience
	cancel context.CancelFunc
	plugin *supervisor
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
	defer f.cancel()
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
	return s.within(ctx, s.plugin.pace.Load().bundle, func(ctx context.Context, sink runpack.Sink) error { return sink.Delete(ctx, uri) })
}

// Close does nothing: the catalog ends the plugin.
func (s *sinkClient) Close() error { return nil }
