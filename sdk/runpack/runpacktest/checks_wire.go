package runpacktest

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// checkWire sends what the Go client would not: a plugin in another language has no adapter in front of it.
func checkWire(b *bench) {
	rpc := pb.NewRunpackClient(b.conn)
	w := sample(1, 2, "scenario", "run", "wire")
	header := func(id, path string) *pb.WriteRequest {
		return &pb.WriteRequest{Part: &pb.WriteRequest_Header{Header: &pb.WriteHeader{Id: id, Path: path}}}
	}
	chunk := func(size int) *pb.WriteRequest {
		return &pb.WriteRequest{Part: &pb.WriteRequest_Chunk{Chunk: make([]byte, size)}}
	}
	begun, err := rpc.Begin(b.ctx, &pb.BeginRequest{Key: &pb.BundleKey{Tenant: 1, Namespace: 2, Scenario: "s", Run: "r", SpecSha256: specHash}})
	if err != nil {
		b.Fatalf("Begin: %v", err)
	}
	id := begun.GetId()
	for _, c := range []struct {
		name     string
		messages []*pb.WriteRequest
		want     []fault.Reason
	}{
		{"no message", nil, []fault.Reason{fault.Invalid}},
		{"no header", []*pb.WriteRequest{chunk(1)}, []fault.Reason{fault.Invalid}},
		{"an empty message", []*pb.WriteRequest{{}}, []fault.Reason{fault.Invalid}},
		{"two headers", []*pb.WriteRequest{header(id, "a"), chunk(1), header(id, "b")}, []fault.Reason{fault.Invalid}},
		{"too large a chunk", []*pb.WriteRequest{header(id, "c"), chunk(runpack.MaxChunk + 1)}, []fault.Reason{fault.TooLarge, fault.Invalid}},
		{"an unknown id", []*pb.WriteRequest{header("unknown", "d"), chunk(1)}, []fault.Reason{fault.NotFound}},
	} {
		b.wantReason(send(b.ctx, rpc, c.messages), "Write with "+c.name, c.want...)
	}
	for _, path := range hostilePaths {
		err := send(b.ctx, rpc, []*pb.WriteRequest{header(id, path), chunk(1)})
		b.wantReason(err, fmt.Sprintf("Write of path %.40q", path), fault.Invalid)
	}
	for _, sum := range [][]byte{nil, make([]byte, 31), make([]byte, 33)} {
		_, err := rpc.Finish(b.ctx, &pb.FinishRequest{Id: id, ManifestPath: manifestPath, ManifestSha256: sum})
		b.wantReason(fault.FromStatus(err), fmt.Sprintf("Finish with a sum of %d bytes", len(sum)), fault.Invalid)
	}
	for _, hash := range []string{"", "5e", strings.ToUpper(specHash), specHash + "00", strings.Repeat("/", 64)} {
		_, err := rpc.Begin(b.ctx, &pb.BeginRequest{Key: &pb.BundleKey{Tenant: 1, Namespace: 2, SpecSha256: hash}})
		b.wantReason(fault.FromStatus(err), fmt.Sprintf("Begin with the scenario hash %q", hash), fault.Invalid)
	}
	b.wantListed(1, 2)
	b.wantChunks(rpc, w)
}

// send writes messages and answers what became of the call.
func send(ctx context.Context, rpc pb.RunpackClient, messages []*pb.WriteRequest) error {
	stream, err := rpc.Write(ctx)
	if err != nil {
		return fault.FromStatus(err)
	}
	for _, m := range messages {
		if stream.Send(m) != nil {
			break // The plugin has answered; CloseAndRecv says what.
		}
	}
	_, err = stream.CloseAndRecv()
	return fault.FromStatus(err)
}

// wantChunks asserts that a large file is answered in chunks within the limit.
func (b *bench) wantChunks(rpc pb.RunpackClient, w bundle) {
	b.Helper()
	w.files[0].content = make([]byte, 5*runpack.MaxChunk)
	stream, err := rpc.Open(b.ctx, &pb.OpenRequest{Uri: b.put(w), Path: w.files[0].path}, grpc.MaxCallRecvMsgSize(16<<20))
	if err != nil {
		b.Fatalf("Open: %v", err)
	}
	total := 0
	for total < len(w.files[0].content) {
		m, err := stream.Recv()
		if err != nil {
			b.Errorf("Open ended after %d bytes: %v", total, err)
			return
		}
		if got := len(m.GetChunk()); got > runpack.MaxChunk {
			b.Errorf("Open answered a chunk of %d bytes, want at most %d", got, runpack.MaxChunk)
		}
		total += len(m.GetChunk())
	}
}
