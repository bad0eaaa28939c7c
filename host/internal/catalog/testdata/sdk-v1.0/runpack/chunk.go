package runpack

import "io"

// sentChunk is the size in bytes of the chunks that are sent: less than MaxChunk, so that a message fits the buffers of
// 32 KiB that gRPC keeps at hand. For larger ones it takes a megabyte each, at both ends and for every file that is read.
const sentChunk = 32<<10 - 64

// chunkReader reads the chunks of a stream; it holds one at a time.
type chunkReader struct {
	next  func() ([]byte, error)
	chunk []byte
	err   error
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.chunk) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.chunk, r.err = r.next()
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// fill reads until the buffer is full or the reader has an error. Unlike io.ReadFull it keeps io.EOF apart from
// io.ErrUnexpectedEOF, which is what an HTTP body that was cut off answers: such a file must not look whole.
func fill(r io.Reader, buffer []byte) (int, error) {
	n := 0
	for n < len(buffer) {
		m, err := r.Read(buffer[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
