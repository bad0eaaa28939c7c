package runpacktest

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// anyChunk takes whatever Write sends.
type anyChunk struct{ pb.RunpackServer }

func (anyChunk) Write(stream grpc.ClientStreamingServer[pb.WriteRequest, pb.WriteResponse]) error {
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return stream.SendAndClose(&pb.WriteResponse{})
		} else if err != nil {
			return err
		}
	}
}

type anySum struct{ pb.RunpackServer }

func (s anySum) Finish(ctx context.Context, req *pb.FinishRequest) (*pb.FinishResponse, error) {
	if len(req.GetManifestSha256()) != 32 {
		return &pb.FinishResponse{Uri: "model:any"}, nil
	}
	return s.RunpackServer.Finish(ctx, req)
}

type wholeFile struct{ pb.RunpackServer }

func (s wholeFile) Open(req *pb.OpenRequest, stream grpc.ServerStreamingServer[pb.OpenResponse]) error {
	whole := &collected{ServerStreamingServer: stream}
	if err := s.RunpackServer.Open(req, whole); err != nil {
		return err
	}
	return stream.Send(&pb.OpenResponse{Chunk: whole.all})
}

type collected struct {
	grpc.ServerStreamingServer[pb.OpenResponse]
	all []byte
}

func (c *collected) Send(m *pb.OpenResponse) error {
	c.all = append(c.all, m.GetChunk()...)
	return nil
}
