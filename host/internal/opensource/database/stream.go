package database

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// The stream is lines of JSON. The first says what the database is; then follow runs and data shapes, in the order of their keys;
// the last says how many there were, so that a stream that was cut off is noticed, or what went wrong.
const (
	// StreamFormat is in the first line.
	StreamFormat = "decision-gate-database"
	// StreamVersion is that of the lines below.
	StreamVersion = 1
	// maxLine is the length in bytes of the longest line: a state of the largest size in base64, and as much as any key has.
	maxLine = MaxState/3*4 + 8<<20
)

// Begin is the first line.
type Begin struct {
	Format        string `json:"format"`
	Version       int    `json:"version"`
	SchemaVersion int64  `json:"schema_version"`
	Runs          int    `json:"runs"`
	Shapes        int    `json:"data_shapes"`
}

// line is any line after the first; one member is there.
type line struct {
	Run   *runLine   `json:"run"`
	Shape *shapeLine `json:"data_shape"`
	End   *endLine   `json:"end"`
	Error string     `json:"error"`
}

// runLine is a run. Bytes are in base64, so that they arrive as they are. Problem says why there is no state.
type runLine struct {
	TenantID    string `json:"tenant_id"`
	NamespaceID string `json:"namespace_id"`
	RunID       string `json:"run_id"`
	Version     int64  `json:"version"`
	SavedAt     int64  `json:"saved_at"`
	State       []byte `json:"state"`
	Hash        string `json:"state_hash"`
	Algorithm   string `json:"hash_algorithm"`
	Problem     string `json:"problem"`
}

type shapeLine struct {
	TenantID    string  `json:"tenant_id"`
	NamespaceID string  `json:"namespace_id"`
	SchemaID    string  `json:"schema_id"`
	Version     string  `json:"version"`
	Schema      []byte  `json:"schema"`
	Hash        string  `json:"schema_hash"`
	Algorithm   string  `json:"hash_algorithm"`
	Description *string `json:"description"`
	KeyID       *string `json:"signing_key_id"`
	Signature   *string `json:"signing_signature"`
	SigningWith *string `json:"signing_algorithm"`
	CreatedAt   string  `json:"created_at"`
	Problem     string  `json:"problem"`
}

type endLine struct {
	Runs   int `json:"runs"`
	Shapes int `json:"data_shapes"`
}

// Item is a run or a data shape of a database. Err is why it cannot be taken over; the others may be.
type Item struct {
	// Name says which it is, for people.
	Name string
	// Run and Shape are nil but for what the item is.
	Run   *Row
	Shape *ShapeRow
	Err   error
}

// Reader reads a stream. It holds one item at a time.
type Reader struct {
	Begin Begin
	lines *bufio.Scanner
	seen  endLine
	ended bool
}

// ErrCutOff says that a stream has no end.
var ErrCutOff = errors.New("the reading of the database was cut off")

// StreamError is what the program that reads the database says for its end.
type StreamError struct{ Text string }

func (e *StreamError) Error() string { return e.Text }

// NewReader reads the first line.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{lines: bufio.NewScanner(in)}
	r.lines.Buffer(make([]byte, 64<<10), maxLine)
	var first struct {
		Begin
		Error string `json:"error"`
	}
	if err := r.next(&first); err != nil {
		return nil, err
	}
	switch r.Begin = first.Begin; {
	case first.Error != "":
		return nil, &StreamError{first.Error}
	case r.Begin.Format != StreamFormat || r.Begin.Version != StreamVersion:
		return nil, fmt.Errorf("the program that reads the database writes %q version %d, and this host reads %q version %d: use the plugin that came with the host",
			r.Begin.Format, r.Begin.Version, StreamFormat, StreamVersion)
	}
	return r, nil
}

func (r *Reader) next(target any) error {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrCutOff, err)
		}
		return ErrCutOff
	}
	if err := json.Unmarshal(r.lines.Bytes(), target); err != nil {
		return fmt.Errorf("the program that reads the database writes a line that is none: %w", err)
	}
	return nil
}

// Next answers the next item, io.EOF after the last. Every other error ends the stream.
func (r *Reader) Next() (*Item, error) {
	if r.ended {
		return nil, io.EOF
	}
	var l line
	if err := r.next(&l); err != nil {
		return nil, err
	}
	switch {
	case l.Run != nil:
		r.seen.Runs++
		return l.Run.item(), nil
	case l.Shape != nil:
		r.seen.Shapes++
		return l.Shape.item(), nil
	case l.End != nil && *l.End == r.seen:
		r.ended = true
		return nil, io.EOF
	case l.Error != "":
		return nil, &StreamError{l.Error}
	default:
		return nil, ErrCutOff
	}
}

func (l *runLine) item() *Item {
	item := &Item{Name: fmt.Sprintf("run %q of tenant %s, namespace %s", l.RunID, l.TenantID, l.NamespaceID)}
	row := &Row{RunID: l.RunID, Version: l.Version, SavedAt: l.SavedAt, State: l.State, Hash: l.Hash, Algorithm: l.Algorithm}
	row.TenantID, row.NamespaceID, item.Err = scopeOf(l.TenantID, l.NamespaceID)
	if l.Problem != "" {
		item.Err = errors.New(l.Problem)
	}
	item.Run = row
	return item
}

func (l *shapeLine) item() *Item {
	item := &Item{Name: fmt.Sprintf("data shape %q version %q of tenant %s, namespace %s", l.SchemaID, l.Version, l.TenantID, l.NamespaceID)}
	row := &ShapeRow{
		SchemaID: l.SchemaID, Version: l.Version, Schema: l.Schema, Hash: l.Hash, Algorithm: l.Algorithm,
		Description: l.Description, KeyID: l.KeyID, Signature: l.Signature, SigningAlgorithm: l.SigningWith, CreatedAt: l.CreatedAt,
	}
	row.TenantID, row.NamespaceID, item.Err = scopeOf(l.TenantID, l.NamespaceID)
	if l.Problem != "" {
		item.Err = errors.New(l.Problem)
	}
	item.Shape = row
	return item
}

// scopeOf reads ids, which the database keeps as decimal text.
func scopeOf(tenant, namespace string) (t, n uint64, err error) {
	for _, id := range []struct {
		name, text string
		to         *uint64
	}{{"tenant_id", tenant, &t}, {"namespace_id", namespace, &n}} {
		*id.to, err = strconv.ParseUint(id.text, 10, 64)
		if err != nil || *id.to == 0 || strconv.FormatUint(*id.to, 10) != id.text {
			return 0, 0, fmt.Errorf("its %s %q is no id", id.name, id.text)
		}
	}
	return t, n, nil
}
