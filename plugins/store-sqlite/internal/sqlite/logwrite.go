package sqlite

import "errors"

// errTornFrame fails the transaction: SQLite has written something else after a header than its page.
var errTornFrame = errors.New("a frame of the log was begun and not finished")

// frameWriter is the log's file. It joins the two writes that SQLite makes for each frame, its header and then its page,
// into one: a system call less for each.
//
// A header is held back only where it extends the log, because there its page always follows, and without its page it
// counts for nothing. Headers that SQLite writes anew, in frames that the same transaction has changed, stand alone and are
// written at once.
type frameWriter struct {
	layerFile
	// end is where the last write ended.
	end int64
	// header is the one that is held back.
	header, frame []byte
}

func (f *frameWriter) WriteAt(p []byte, off int64) (int, error) {
	extends := off == f.end
	f.end = off + int64(len(p))
	if len(f.header) > 0 {
		return f.finish(p, off, extends)
	}
	if extends && len(p) == frameHeaderSize {
		f.header = append(f.header, p...)
		return len(p), nil
	}
	return f.layerFile.WriteAt(p, off)
}

// finish writes the header that was held back, and the page behind it.
func (f *frameWriter) finish(page []byte, off int64, extends bool) (int, error) {
	f.frame = append(append(f.frame[:0], f.header...), page...)
	f.header = f.header[:0]
	if !extends {
		return 0, errTornFrame
	}
	if n, err := f.layerFile.WriteAt(f.frame, off-frameHeaderSize); err != nil {
		return max(0, n-frameHeaderSize), err
	}
	return len(page), nil
}
