package runpack

import (
	"cmp"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// listPage is the size in bytes at which a page of List is sent.
const listPage = 1 << 20

// RegisterServer serves a sink over the protocol. The sink sees only valid paths and keys and chunks within the limits;
// its panics become INTERNAL.
func RegisterServer(r grpc.ServiceRegistrar, s Sink) {
	pb.RegisterRunpackServer(r, &server{sink: s})
}

type server struct {
	pb.UnimplementedRunpackServer
	sink Sink
}

// guarded runs a call of the backend, whose panic must not end the process, and makes a status of its error.
func guarded(call func() error) error {
	return fault.ToStatus(func() (err error) {
		defer fault.Recover(&err)
		return call()
	}())
}

func (s *server) Begin(ctx context.Context, req *pb.BeginRequest) (*pb.BeginResponse, error) {
	resp := &pb.BeginResponse{}
	err := guarded(func() (err error) {
		key := keyFromWire(req.GetKey())
		if err := key.Validate(); err != nil {
			return err
		}
		resp.Id, err = s.sink.Begin(ctx, key, req.GetTags())
		return err
	})
	return resp, err
}

func (s *server) Write(stream grpc.ClientStreamingServer[pb.WriteRequest, pb.WriteResponse]) error {
	var written Written
	err := guarded(func() error {
		first, err := stream.Recv()
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "Write: no first message")
		}
		header := first.GetHeader()
		if header == nil {
			return fault.New(fault.Invalid, "Write: the first message has no header")
		}
		if err := ValidatePath(header.GetPath()); err != nil {
			return err
		}
		content := &chunkReader{next: func() ([]byte, error) { return writtenChunk(stream) }}
		written, err = s.sink.Write(stream.Context(), header.GetId(), header.GetPath(), content)
		return err
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(&pb.WriteResponse{Size: written.Size, Sha256: written.SHA256[:]})
}

// writtenChunk answers io.EOF only when the caller has closed its side: one that went away must not leave a file behind
// that looks whole.
func writtenChunk(stream grpc.ClientStreamingServer[pb.WriteRequest, pb.WriteResponse]) ([]byte, error) {
	req, err := stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, fault.Wrap(fault.Unavailable, err, "Write: the caller went away")
	case req.GetHeader() != nil:
		return nil, fault.New(fault.Invalid, "Write: a second header")
	case len(req.GetChunk()) > MaxChunk:
		return nil, fault.New(fault.TooLarge, "Write: a chunk of %d bytes, want at most %d", len(req.GetChunk()), MaxChunk)
	}
	return req.GetChunk(), nil
}

func (s *server) Finish(ctx context.Context, req *pb.FinishRequest) (*pb.FinishResponse, error) {
	resp := &pb.FinishResponse{}
	err := guarded(func() (err error) {
		if err := ValidatePath(req.GetManifestPath()); err != nil {
			return err
		}
		if len(req.GetManifestSha256()) != 32 {
			return fault.New(fault.Invalid, "Finish: a manifest sum of %d bytes, want 32", len(req.GetManifestSha256()))
		}
		resp.Uri, err = s.sink.Finish(ctx, req.GetId(), req.GetManifestPath(), [32]byte(req.GetManifestSha256()))
		return err
	})
	return resp, err
}

func (s *server) Abort(ctx context.Context, req *pb.AbortRequest) (*pb.AbortResponse, error) {
	return &pb.AbortResponse{}, guarded(func() error { return s.sink.Abort(ctx, req.GetId()) })
}

func (s *server) Delete(ctx context.Context, req *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return &pb.DeleteResponse{}, guarded(func() error { return s.sink.Delete(ctx, req.GetUri()) })
}

func (s *server) Open(req *pb.OpenRequest, stream grpc.ServerStreamingServer[pb.OpenResponse]) error {
	return guarded(func() error {
		if err := ValidatePath(req.GetPath()); err != nil {
			return err
		}
		content, err := s.sink.Open(stream.Context(), req.GetUri(), req.GetPath())
		if err != nil {
			return err
		}
		return errors.Join(sendContent(stream, content), content.Close())
	})
}

func sendContent(stream grpc.ServerStreamingServer[pb.OpenResponse], content io.Reader) error {
	// Send has encoded the chunk when it returns, so one buffer serves the whole file.
	buffer := make([]byte, sentChunk)
	for {
		n, err := fill(content, buffer)
		if n > 0 {
			if err := stream.Send(&pb.OpenResponse{Chunk: buffer[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func (s *server) List(req *pb.ListRequest, stream grpc.ServerStreamingServer[pb.ListResponse]) error {
	page, size := &pb.ListResponse{}, 0
	flush := func() error {
		if len(page.Bundles) == 0 {
			return nil
		}
		err := stream.Send(page)
		page, size = &pb.ListResponse{}, 0
		return err
	}
	return guarded(func() error {
		err := s.sink.List(stream.Context(), req.GetTenant(), req.GetNamespace(), func(bundle Bundle) error {
			wire := bundleToWire(bundle)
			page.Bundles = append(page.Bundles, wire)
			if size += proto.Size(wire); size >= listPage {
				return flush()
			}
			return nil
		})
		// What was listed before an error counts: a sink tells of a damaged bundle after the sound ones.
		return cmp.Or(err, flush())
	})
}
