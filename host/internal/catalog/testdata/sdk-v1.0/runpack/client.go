package runpack

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// maxMessage is the size in bytes of the largest message, the same on every connection to a plugin (store.MaxMessage).
const maxMessage = 64 << 20

var callSize = []grpc.CallOption{grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)}

// NewClient is a sink at the other end of a connection. It compares what the plugin says it kept with what was sent.
// Close of the client does nothing: the connection belongs to whoever made it.
func NewClient(conn grpc.ClientConnInterface) Sink {
	return &client{rpc: pb.NewRunpackClient(conn)}
}

type client struct {
	rpc pb.RunpackClient
}

func (c *client) Close() error { return nil }

func (c *client) Begin(ctx context.Context, key Key, tags map[string]string) (string, error) {
	resp, err := c.rpc.Begin(ctx, &pb.BeginRequest{Key: keyToWire(key), Tags: tags}, callSize...)
	if err != nil {
		return "", fault.FromStatus(err)
	}
	if resp.GetId() == "" {
		return "", broken("Begin answered no id")
	}
	return resp.GetId(), nil
}

func (c *client) Write(ctx context.Context, id, path string, content io.Reader) (Written, error) {
	// Leaving early must end the stream, or the plugin keeps half a file open.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Write(ctx, callSize...)
	if err != nil {
		return Written{}, fault.FromStatus(err)
	}
	sent, err := sendFile(stream, &pb.WriteHeader{Id: id, Path: path}, content)
	if err != nil {
		return Written{}, err
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return Written{}, fault.FromStatus(err)
	}
	// A plugin that stored other bytes must not be able to finish the bundle as if all was well.
	if resp.GetSize() != sent.Size || string(resp.GetSha256()) != string(sent.SHA256[:]) {
		return Written{}, fault.New(fault.Corrupt, "the runpack plugin stored other bytes than were sent: %d of %d bytes", resp.GetSize(), sent.Size)
	}
	return sent, nil
}

// sendFile sends until the content ends or the plugin has answered early; that answer is for CloseAndRecv to read.
func sendFile(stream grpc.ClientStreamingClient[pb.WriteRequest, pb.WriteResponse], header *pb.WriteHeader, content io.Reader) (Written, error) {
	var sent Written
	if err := stream.Send(&pb.WriteRequest{Part: &pb.WriteRequest_Header{Header: header}}); err != nil {
		return sent, sendError(err)
	}
	sum := sha256.New()
	// Send has encoded the chunk when it returns, so one buffer serves the whole file.
	buffer := make([]byte, sentChunk)
	for {
		n, readErr := fill(content, buffer)
		if n > 0 {
			sum.Write(buffer[:n])
			sent.Size += uint64(n)
			err := stream.Send(&pb.WriteRequest{Part: &pb.WriteRequest_Chunk{Chunk: buffer[:n]}})
			if errors.Is(err, io.EOF) {
				return sent, nil
			}
			if err != nil {
				return sent, fault.FromStatus(err)
			}
		}
		switch {
		case errors.Is(readErr, io.EOF):
			sum.Sum(sent.SHA256[:0])
			return sent, nil
		case readErr != nil:
			return sent, readErr
		}
	}
}

// sendError is nil for the io.EOF that Send answers when the other side has ended the call.
func sendError(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fault.FromStatus(err)
}

func (c *client) Finish(ctx context.Context, id, manifestPath string, manifestSHA256 [32]byte) (string, error) {
	resp, err := c.rpc.Finish(ctx, &pb.FinishRequest{Id: id, ManifestPath: manifestPath, ManifestSha256: manifestSHA256[:]}, callSize...)
	if err != nil {
		return "", fault.FromStatus(err)
	}
	if resp.GetUri() == "" {
		return "", broken("Finish answered no URI")
	}
	return resp.GetUri(), nil
}

func (c *client) Abort(ctx context.Context, id string) error {
	_, err := c.rpc.Abort(ctx, &pb.AbortRequest{Id: id}, callSize...)
	return fault.FromStatus(err)
}

func (c *client) Delete(ctx context.Context, uri string) error {
	_, err := c.rpc.Delete(ctx, &pb.DeleteRequest{Uri: uri}, callSize...)
	return fault.FromStatus(err)
}

// Open waits for the first bytes, so that an unknown file is an error of Open and not of the first Read. The context
// bounds the reading too.
func (c *client) Open(ctx context.Context, uri, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.rpc.Open(ctx, &pb.OpenRequest{Uri: uri, Path: path}, callSize...)
	if err != nil {
		cancel()
		return nil, fault.FromStatus(err)
	}
	next := func() ([]byte, error) {
		resp, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fault.FromStatus(err)
		case len(resp.GetChunk()) > MaxChunk:
			return nil, broken("Open answered a chunk of %d bytes, want at most %d", len(resp.GetChunk()), MaxChunk)
		}
		return resp.GetChunk(), nil
	}
	reader := &streamReader{chunkReader: chunkReader{next: next}, cancel: cancel}
	reader.chunk, reader.err = next()
	if reader.err != nil && !errors.Is(reader.err, io.EOF) {
		cancel()
		return nil, reader.err
	}
	return reader, nil
}

// streamReader ends the stream when it is closed, also before its end.
type streamReader struct {
	chunkReader
	cancel context.CancelFunc
}

func (r *streamReader) Close() error {
	r.cancel()
	return nil
}

func (c *client) List(ctx context.Context, tenant, namespace uint64, yield func(Bundle) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.List(ctx, &pb.ListRequest{Tenant: tenant, Namespace: namespace}, callSize...)
	if err != nil {
		return fault.FromStatus(err)
	}
	last := ""
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		for _, wire := range page.GetBundles() {
			bundle, err := bundleFromWire(wire)
			if err != nil {
				return err
			}
			// Another tenant's bundles must not be listed, nor the same one for ever.
			if bundle.Key.Tenant != tenant || namespace != 0 && bundle.Key.Namespace != namespace || bundle.URI <= last {
				return broken("List answered a bundle outside of its scope or order")
			}
			last = bundle.URI
			if err := yield(bundle); err != nil {
				return err
			}
		}
	}
}
