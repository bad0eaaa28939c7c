package runpack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of the tests are wanted
	goleak.VerifyTestMain(m)
}

func dial(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

// fake is a sink whose calls are given; the others panic.
type fake struct {
	runpack.Sink
	begin  func(runpack.Key, map[string]string) (string, error)
	write  func(id, path string, content io.Reader) (runpack.Written, error)
	finish func(id, path string, sum [32]byte) (string, error)
	open   func(ctx context.Context) (io.ReadCloser, error)
	list   func(tenant, namespace uint64, yield func(runpack.Bundle) error) error
}

func (f fake) Begin(_ context.Context, key runpack.Key, tags map[string]string) (string, error) {
	return f.begin(key, tags)
}
func (f fake) Write(_ context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	return f.write(id, path, content)
}
func (f fake) Finish(_ context.Context, id, path string, sum [32]byte) (string, error) {
	return f.finish(id, path, sum)
}
func (f fake) Open(ctx context.Context, _, _ string) (io.ReadCloser, error) { return f.open(ctx) }
func (f fake) List(_ context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	return f.list(tenant, namespace, yield)
}

func serve(t *testing.T, f fake) runpack.Sink {
	return runpack.NewClient(dial(t, func(s *grpc.Server) { runpack.RegisterServer(s, f) }))
}

var soundKey = runpack.Key{Tenant: 1, Namespace: 2, Scenario: "../é\x00", Run: "", SpecSHA256: strings.Repeat("0a", 32)}

func written(content []byte) runpack.Written {
	return runpack.Written{Size: uint64(len(content)), SHA256: sha256.Sum256(content)}
}

func TestBeginAndFinish(t *testing.T) {
	sum := sha256.Sum256([]byte("manifest"))
	tags := map[string]string{"a": "b"}
	client := serve(t, fake{
		begin: func(key runpack.Key, got map[string]string) (string, error) {
			if key != soundKey || !reflect.DeepEqual(got, tags) {
				return "", fault.New(fault.Internal, "got %+v %v", key, got)
			}
			return "id", nil
		},
		finish: func(id, path string, got [32]byte) (string, error) {
			if id != "id" || path != "manifest.json" || got != sum {
				return "", fault.New(fault.Internal, "got %q %q %x", id, path, got)
			}
			return "", fault.New(fault.Locked, "not now")
		},
	})
	if id, err := client.Begin(t.Context(), soundKey, tags); id != "id" || err != nil {
		t.Errorf("Begin = %q, %v", id, err)
	}
	if _, err := client.Finish(t.Context(), "id", "manifest.json", sum); !fault.Is(err, fault.Locked) {
		t.Errorf("Finish = %v, want the sink's error", err)
	}
}

func TestServerRefuses(t *testing.T) {
	client := serve(t, fake{})
	for name, edit := range map[string]func(*runpack.Key){
		"no hash":         func(k *runpack.Key) { k.SpecSHA256 = "" },
		"upper-case hash": func(k *runpack.Key) { k.SpecSHA256 = strings.ToUpper(k.SpecSHA256) },
		"path as hash":    func(k *runpack.Key) { k.SpecSHA256 = strings.Repeat("../x", 16) },
	} {
		key := soundKey
		edit(&key)
		if _, err := client.Begin(t.Context(), key, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("Begin with %s: %v, want invalid", name, err)
		}
	}
	if _, err := client.Write(t.Context(), "id", "../x", strings.NewReader("")); !fault.Is(err, fault.Invalid) {
		t.Errorf("Write: %v, want invalid", err)
	}
	if _, err := client.Finish(t.Context(), "id", "/etc/passwd", [32]byte{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("Finish: %v, want invalid", err)
	}
	if _, err := client.Open(t.Context(), "uri", "a/../b"); !fault.Is(err, fault.Invalid) {
		t.Errorf("Open: %v, want invalid", err)
	}
}

func TestWriteServerRefuses(t *testing.T) {
	rpc := pb.NewRunpackClient(dial(t, func(s *grpc.Server) {
		runpack.RegisterServer(s, fake{write: func(_, _ string, content io.Reader) (runpack.Written, error) {
			body, err := io.ReadAll(content)
			return written(body), err
		}})
	}))
	header := &pb.WriteRequest{Part: &pb.WriteRequest_Header{Header: &pb.WriteHeader{Id: "id", Path: "a"}}}
	chunk := func(n int) *pb.WriteRequest {
		return &pb.WriteRequest{Part: &pb.WriteRequest_Chunk{Chunk: make([]byte, n)}}
	}
	for name, test := range map[string]struct {
		messages []*pb.WriteRequest
		reason   fault.Reason
	}{
		"sound":          {[]*pb.WriteRequest{header, chunk(0), chunk(runpack.MaxChunk), chunk(1)}, ""},
		"nothing":        {nil, fault.Invalid},
		"no header":      {[]*pb.WriteRequest{chunk(1)}, fault.Invalid},
		"two headers":    {[]*pb.WriteRequest{header, chunk(1), header}, fault.Invalid},
		"too big a part": {[]*pb.WriteRequest{header, chunk(runpack.MaxChunk + 1)}, fault.TooLarge},
	} {
		stream, err := rpc.Write(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range test.messages {
			_ = stream.Send(message)
		}
		resp, err := stream.CloseAndRecv()
		if got := fault.ReasonOf(fault.FromStatus(err)); got != test.reason {
			t.Errorf("%s: %v, %v; want %q", name, resp, err, test.reason)
		}
	}
}

func TestWrite(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, content := range [][]byte{{}, []byte("x"), big[:runpack.MaxChunk], big} {
		var got []byte
		client := serve(t, fake{write: func(id, path string, r io.Reader) (runpack.Written, error) {
			var err error
			got, err = io.ReadAll(r)
			if id != "id" || path != "dir/file" {
				err = errors.New("wrong file")
			}
			return written(got), err
		}})
		result, err := client.Write(t.Context(), "id", "dir/file", iotest.HalfReader(bytes.NewReader(content)))
		if err != nil || result != written(content) || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %+v, %v", len(content), result, err)
		}
	}
}

// A file that was cut off, or that the plugin changed, must not look whole to either side.
func TestWriteFails(t *testing.T) {
	ended := make(chan error, 1)
	content := strings.Repeat("x", 3*runpack.MaxChunk)
	readAll := func(_, _ string, r io.Reader) (runpack.Written, error) {
		body, err := io.ReadAll(r)
		ended <- err
		return written(body), err
	}
	for _, cause := range []error{errors.New("broken disk"), io.ErrUnexpectedEOF} {
		cut := io.MultiReader(strings.NewReader(content), iotest.ErrReader(cause))
		if _, err := serve(t, fake{write: readAll}).Write(t.Context(), "id", "a", cut); !errors.Is(err, cause) {
			t.Errorf("Write = %v, want %v", err, cause)
		}
		if err := <-ended; err == nil {
			t.Error("the sink took a part of the file for all of it")
		}
	}
	refuse := func(string, string, io.Reader) (runpack.Written, error) {
		return runpack.Written{}, fault.New(fault.Full, "no space")
	}
	if _, err := serve(t, fake{write: refuse}).Write(t.Context(), "id", "a", strings.NewReader(content)); !fault.Is(err, fault.Full) {
		t.Errorf("Write = %v, want the sink's early error", err)
	}
	for name, lie := range map[string]runpack.Written{
		"size": {Size: 1, SHA256: written([]byte(content)).SHA256}, "sum": {Size: uint64(len(content))},
	} {
		liar := func(_, _ string, r io.Reader) (runpack.Written, error) {
			_, err := io.Copy(io.Discard, r)
			return lie, err
		}
		if _, err := serve(t, fake{write: liar}).Write(t.Context(), "id", "a", strings.NewReader(content)); !fault.Is(err, fault.Corrupt) {
			t.Errorf("other %s: %v, want corrupt", name, err)
		}
	}
}

func TestOpen(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, test := range map[string]struct {
		content io.Reader
		want    int
		reason  fault.Reason
	}{
		"empty":              {strings.NewReader(""), 0, ""},
		"small":              {strings.NewReader("x"), 1, ""},
		"big":                {iotest.HalfReader(bytes.NewReader(big)), len(big), ""},
		"corrupt at the end": {io.MultiReader(bytes.NewReader(big), iotest.ErrReader(fault.New(fault.Corrupt, "changed"))), len(big), fault.Corrupt},
		// An object that the network cut off.
		"cut off": {io.MultiReader(bytes.NewReader(big), iotest.ErrReader(io.ErrUnexpectedEOF)), len(big), fault.Internal},
	} {
		client := serve(t, fake{open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(test.content), nil }})
		reader, err := client.Open(t.Context(), "uri", "a")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(reader)
		if len(body) != test.want || fault.ReasonOf(err) != test.reason {
			t.Errorf("%s: %d bytes, %v; want %d, %q", name, len(body), err, test.want, test.reason)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
	absent := fake{open: func(context.Context) (io.ReadCloser, error) { return nil, fault.New(fault.NotFound, "no such bundle") }}
	if _, err := serve(t, absent).Open(t.Context(), "uri", "a"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Open = %v, want not found", err)
	}
}

type endless struct{ closed chan struct{} }

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (e endless) Close() error             { close(e.closed); return nil }

// A reader that is closed early must not leave the sink reading for ever.
func TestCloseEndsTheStream(t *testing.T) {
	content := endless{make(chan struct{})}
	client := serve(t, fake{open: func(context.Context) (io.ReadCloser, error) { return content, nil }})
	reader, err := client.Open(t.Context(), "uri", "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reader, make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	<-content.closed
}

func TestList(t *testing.T) {
	bundle := func(uri string) runpack.Bundle {
		return runpack.Bundle{
			URI: uri, Key: soundKey, Tags: map[string]string{"k": "v"}, ManifestPath: "manifest.json", ManifestSHA256: [32]byte{1},
			Files: []runpack.File{{Path: "a/b", Size: 5, SHA256: [32]byte{2}}, {Path: "manifest.json", Size: 6, SHA256: [32]byte{1}}},
		}
	}
	foreign, escaping, many := bundle("u9"), bundle("u9"), bundle("u9")
	foreign.Key.Tenant = 7
	escaping.Files[0].Path = "../x"
	many.Files = make([]runpack.File, runpack.MaxFiles+1)
	for name, test := range map[string]struct {
		bundles []runpack.Bundle
		reason  fault.Reason
	}{
		"none":         {nil, ""},
		"sound":        {[]runpack.Bundle{bundle("u1"), bundle("u2")}, ""},
		"wrong order":  {[]runpack.Bundle{bundle("u2"), bundle("u1")}, fault.Internal},
		"twice":        {[]runpack.Bundle{bundle("u1"), bundle("u1")}, fault.Internal},
		"no URI":       {[]runpack.Bundle{bundle("")}, fault.Internal},
		"other tenant": {[]runpack.Bundle{foreign}, fault.Internal},
		"path escapes": {[]runpack.Bundle{escaping}, fault.Internal},
		"too many":     {[]runpack.Bundle{many}, fault.Internal},
	} {
		client := serve(t, fake{list: func(tenant, namespace uint64, yield func(runpack.Bundle) error) error {
			if tenant != 1 || namespace != 2 {
				return errors.New("wrong scope")
			}
			for _, b := range test.bundles {
				if err := yield(b); err != nil {
					return err
				}
			}
			return nil
		}})
		var got []runpack.Bundle
		err := client.List(t.Context(), 1, 2, func(b runpack.Bundle) error { got = append(got, b); return nil })
		if fault.ReasonOf(err) != test.reason || err == nil && !reflect.DeepEqual(got, test.bundles) {
			t.Errorf("%s: %+v, %v; want %q", name, got, err, test.reason)
		}
	}
}

func TestPanicsBecomeInternal(t *testing.T) {
	client := serve(t, fake{}) // every call is nil and panics
	for name, call := range map[string]func() error{
		"Begin":  func() error { _, err := client.Begin(t.Context(), soundKey, nil); return err },
		"Write":  func() error { _, err := client.Write(t.Context(), "id", "a", strings.NewReader("x")); return err },
		"Finish": func() error { _, err := client.Finish(t.Context(), "id", "a", [32]byte{}); return err },
		"Abort":  func() error { return client.Abort(t.Context(), "id") },
		"Open":   func() error { _, err := client.Open(t.Context(), "uri", "a"); return err },
		"List":   func() error { return client.List(t.Context(), 1, 2, nil) },
		"Delete": func() error { return client.Delete(t.Context(), "uri") },
	} {
		if err := call(); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}
