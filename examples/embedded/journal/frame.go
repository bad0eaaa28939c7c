package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// The file is its title, then frames: length (4 bytes, big-endian) and its CRC-32, SHA-256 of the content, content. The
// content is the effects of one request, as gob. The length has a sum of its own: one that a flipped bit made too large
// would look like a last frame that was cut off, and everything after it would go.
const (
	title       = "decision-gate journal 1\n"
	titleBegins = "decision-gate journal "
	lengthSize  = 4 + 4
	headerSize  = lengthSize + sha256.Size
	// maxFrame is the size in bytes of the largest content: the bodies of a request, and what describes them.
	maxFrame = 2 * store.MaxMessage
)

// writeFrame appends a frame and returns when it is on the disk.
func writeFrame(file *os.File, effects []effect) error {
	var content bytes.Buffer
	if err := gob.NewEncoder(&content).Encode(effects); err != nil {
		return err
	}
	sum := sha256.Sum256(content.Bytes())
	length := binary.BigEndian.AppendUint32(nil, uint32(content.Len()))
	frame := binary.BigEndian.AppendUint32(length, crc32.ChecksumIEEE(length))
	frame = append(append(frame, sum[:]...), content.Bytes()...)
	if _, err := file.Write(frame); err != nil {
		return err
	}
	return file.Sync()
}

// readFrames reads a file into the memory, and leaves it ready to be appended to. Ids of commits before forget are not
// remembered. A last frame that a crash has cut off was never answered, and is removed. Any other damage is refused: to go
// on without a frame would be to forget decisions.
func readFrames(file *os.File, forget time.Time, into *memory) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	in := bufio.NewReader(file)
	begin, err := in.Peek(len(title))
	switch {
	case string(begin) == title:
		_, _ = in.Discard(len(title)) // it is in the buffer
	case strings.HasPrefix(title, string(begin)):
		// New, or cut off when it was new.
		if !errors.Is(err, io.EOF) {
			return err
		}
		return rewind(file, 0, title)
	case strings.HasPrefix(string(begin), titleBegins):
		return fault.Wrap(fault.Unimplemented, errFormat, "the journal was written by a later version of this program")
	default:
		return fault.Wrap(fault.Invalid, errFormat, "the file is no journal: name another")
	}
	for at := int64(len(title)); at < size; {
		content, whole, err := readFrame(in, at, size)
		if err != nil {
			return err
		}
		if !whole {
			return rewind(file, at, "")
		}
		var effects []effect
		if err := gob.NewDecoder(bytes.NewReader(content)).Decode(&effects); err != nil {
			return damaged(at, "its content cannot be decoded")
		}
		for _, e := range effects {
			into.replay(e, e.At.After(forget))
		}
		at += headerSize + int64(len(content))
	}
	_, err = file.Seek(size, io.SeekStart)
	return err
}

// readFrame reads the frame that begins at an offset of a file of a size. It is not whole when it is the last one, and
// not all of it was written.
func readFrame(in *bufio.Reader, at, size int64) (content []byte, whole bool, err error) {
	if size-at < headerSize {
		return nil, false, nil
	}
	var header [headerSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return nil, false, err
	}
	if header == [headerSize]byte{} {
		// A file that grew before its bytes were written ends in zeros.
		rest, err := io.ReadAll(io.LimitReader(in, maxFrame))
		if err == nil && len(bytes.Trim(rest, "\x00")) > 0 {
			err = damaged(at, "zeros where a frame should begin")
		}
		return nil, false, err
	}
	length := int64(binary.BigEndian.Uint32(header[:]))
	switch {
	case crc32.ChecksumIEEE(header[:4]) != binary.BigEndian.Uint32(header[4:]), length > maxFrame:
		return nil, false, damaged(at, "a frame does not have the length that was written")
	case length > size-at-headerSize:
		return nil, false, nil
	}
	content = make([]byte, length)
	if _, err := io.ReadFull(in, content); err != nil {
		return nil, false, err
	}
	if sha256.Sum256(content) != [sha256.Size]byte(header[lengthSize:]) {
		return nil, false, damaged(at, "a frame does not have its SHA-256")
	}
	return content, true, nil
}

// rewind cuts the file at an offset and goes on from there with a text.
func rewind(file *os.File, at int64, text string) error {
	if err := file.Truncate(at); err != nil {
		return err
	}
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return err
	}
	_, err := io.WriteString(file, text)
	return err
}
