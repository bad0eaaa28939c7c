package launch

import (
	"context"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// observer is told of every call when it has ended; nil is told of none.
type observer func(method string, took time.Duration, err error)

func (o observer) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if o == nil {
		return invoke(ctx, method, req, reply, conn, options...)
	}
	begun := time.Now()
	err := invoke(ctx, method, req, reply, conn, options...)
	o(method, time.Since(begun), err)
	return err
}

func (o observer) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	if o == nil {
		return open(ctx, desc, conn, method, options...)
	}
	begun := time.Now()
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		o(method, time.Since(begun), err)
		return nil, err
	}
	observed := &observedStream{ClientStream: stream, desc: desc, tell: func(err error) { o(method, time.Since(begun), err) }}
	// A caller may leave a stream without reading its end.
	context.AfterFunc(stream.Context(), func() { observed.ended(stream.Context().Err()) })
	return observed, nil
}

// observedStream tells of its end once.
type observedStream struct {
	grpc.ClientStream
	desc *grpc.StreamDesc
	tell func(error)
	once sync.Once
}

func (s *observedStream) ended(err error) {
	s.once.Do(func() { s.tell(err) })
}

func (s *observedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	switch {
	case err == io.EOF:
		s.ended(nil)
	case err != nil:
		s.ended(err)
	case !s.desc.ServerStreams: // its one answer
		s.ended(nil)
	}
	return err
}
