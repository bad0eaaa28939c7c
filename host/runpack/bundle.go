package runpack

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"iter"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Reader reads the files of a bundle. Errors of its methods stand in reports: their text must hold nothing that the reader
// of a report may not see.
type Reader interface {
	// Open reads a file; size is negative when it is not known. The path is relative and clean.
	Open(ctx context.Context, path string) (content io.ReadCloser, size int64, err error)
	// List names every file that is there.
	List(ctx context.Context) iter.Seq2[string, error]
}

// DefaultMaxArtifact is the size in bytes of the largest file that is read unless told otherwise.
const DefaultMaxArtifact = 4 << 30

// Options say how to verify.
type Options struct {
	// MaxArtifactBytes is the size of the largest file that is read; 0 is DefaultMaxArtifact.
	MaxArtifactBytes uint64
	// Replay derives every verdict again from the recorded evidence.
	Replay bool
	// Progress, when set, is called from time to time.
	Progress func(Progress)
	// Admit, when set, is asked whether the bundle may be verified, once its manifest says whose it is. Its error is
	// returned by Verify.
	Admit func(*Manifest) error
}

// Progress is how far a verification has come. Each file is read once or twice.
type Progress struct {
	Bytes     uint64
	Decisions uint64
}

// bundle reads the files of a bundle within its limits and remembers their hashes.
type bundle struct {
	reader   Reader
	options  Options
	sums     map[string]canonical.HashDigest
	failures map[string]error
	progress Progress
}

func newBundle(r Reader, o Options) *bundle {
	if o.MaxArtifactBytes == 0 {
		o.MaxArtifactBytes = DefaultMaxArtifact
	}
	return &bundle{reader: r, options: o, sums: map[string]canonical.HashDigest{}, failures: map[string]error{}}
}

func (b *bundle) report() {
	if b.options.Progress != nil {
		b.options.Progress(b.progress)
	}
}

// stream is a file that is being read: no more of it than the limit, and no other bytes than in an earlier reading.
type stream struct {
	ctx     context.Context
	bundle  *bundle
	path    string
	content io.ReadCloser
	sum     hash.Hash
	size    uint64
	done    bool
}

func (b *bundle) open(ctx context.Context, path string) (*stream, error) {
	components, err := splitPath(path)
	if err != nil {
		return nil, err
	}
	clean := joinPath(components)
	content, size, err := b.reader.Open(ctx, clean)
	if err != nil {
		return nil, err
	}
	if size > 0 && uint64(size) > b.options.MaxArtifactBytes {
		content.Close()
		return nil, &TooLargeError{Path: path, Actual: uint64(size), Max: b.options.MaxArtifactBytes}
	}
	return &stream{ctx: ctx, bundle: b, path: clean, content: content, sum: sha256.New()}, nil
}

// Read reads on. In place of io.EOF comes an error when the bytes are not those that were hashed before: otherwise whoever
// can write the files could show one content to the hash and another to the replay.
func (s *stream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.content.Read(p)
	s.sum.Write(p[:n])
	s.size += uint64(n)
	s.bundle.progress.Bytes += uint64(n)
	switch {
	case s.size > s.bundle.options.MaxArtifactBytes:
		return 0, &TooLargeError{Path: s.path, Actual: s.size, Max: s.bundle.options.MaxArtifactBytes}
	case errors.Is(err, io.EOF):
		return n, s.end()
	case err != nil && s.ctx.Err() == nil && !isArtifactError(err):
		return n, artifactError(textRead, err)
	default:
		return n, err
	}
}

func isArtifactError(err error) bool {
	var artifact *ArtifactError
	var large *TooLargeError
	return errors.As(err, &artifact) || errors.As(err, &large)
}

func (s *stream) end() error {
	if s.done {
		return io.EOF
	}
	s.done = true
	digest := canonical.Digest([sha256.Size]byte(s.sum.Sum(nil)))
	if before, known := s.bundle.sums[s.path]; known && before != digest {
		return artifactError(textChanged, nil)
	}
	s.bundle.sums[s.path] = digest
	s.bundle.report()
	return io.EOF
}

// Close ends the reading.
func (s *stream) Close() error { return s.content.Close() }

// hash reads a file to its end, once: a manifest may name the same file a hundred thousand times.
func (b *bundle) hash(ctx context.Context, path string) (canonical.HashDigest, error) {
	clean := cleanPath(path)
	if digest, known := b.sums[clean]; known {
		return digest, nil
	}
	if err, known := b.failures[path]; known {
		return canonical.HashDigest{}, err
	}
	err := b.drain(ctx, path)
	if err != nil {
		b.failures[path] = err
		return canonical.HashDigest{}, err
	}
	return b.sums[clean], nil
}

func (b *bundle) drain(ctx context.Context, path string) error {
	in, err := b.open(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(io.Discard, in)
	return err
}

// read reads a file whole; it may have up to MaxRecord bytes.
func (b *bundle) read(ctx context.Context, path string) ([]byte, error) {
	in, err := b.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, MaxRecord+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > MaxRecord:
		return nil, &TooLargeError{Path: path, Actual: uint64(len(content)), Max: MaxRecord}
	}
	return content, nil
}
