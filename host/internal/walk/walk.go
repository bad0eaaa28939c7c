// Package walk reads a range of a store one record at a time, so that several ranges can be read side by side. A cursor holds
// one page and no call open: whoever reads slowly keeps nothing in the store from moving on.
package walk

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// pageRecords is the number of records of the largest page.
	pageRecords = 512
	// pageBytes is the size in bytes of bodies at which a page ends; the last one may be as large as a body can be.
	pageBytes = store.ScanPage
)

// Cursor is a place in a range. It is not safe for concurrent use.
type Cursor struct {
	ctx   context.Context
	store store.Store
	scan  store.Scan
	page  []store.Record
	ended bool
	err   error
}

// New makes a cursor before the first record of a range. The context is that of all of its reads.
func New(ctx context.Context, s store.Store, scan store.Scan) *Cursor {
	return &Cursor{ctx: ctx, store: s, scan: scan}
}

var errPage = errors.New("the page is full")

// Peek is the record that the cursor stands before, nil at the end of the range. An error stays: the cursor goes no further.
func (c *Cursor) Peek() (*store.Record, error) {
	if len(c.page) == 0 && !c.ended && c.err == nil {
		c.read()
	}
	if c.err != nil || len(c.page) == 0 {
		return nil, c.err
	}
	return &c.page[0], nil
}

// Next moves past the record that Peek has shown.
func (c *Cursor) Next() { c.page = c.page[1:] }

func (c *Cursor) read() {
	scan := c.scan
	if remaining := scan.Limit; remaining == 0 || remaining > pageRecords {
		scan.Limit = pageRecords
	}
	var page []store.Record
	size := 0
	err := c.store.Scan(c.ctx, scan, func(record store.Record) error {
		page = append(page, record)
		if size += len(record.Body); size >= pageBytes {
			return errPage
		}
		return nil
	})
	full := errors.Is(err, errPage)
	if err != nil && !full {
		c.err = err
		return
	}
	if len(page) > 0 {
		c.scan.StartAfter = page[len(page)-1].Key.Path
	}
	c.ended = !full && uint64(len(page)) < scan.Limit
	if c.scan.Limit > 0 {
		c.scan.Limit -= uint64(len(page))
		c.ended = c.ended || c.scan.Limit == 0
	}
	c.page = page
}

// ComparePaths orders the paths of keys of one scope.
func ComparePaths(a, b [][]byte) int { return slices.CompareFunc(a, b, bytes.Compare) }
