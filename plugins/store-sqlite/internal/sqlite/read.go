package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// pageRecords bounds a page of Scan and of Changes by number: small records must not make one unbounded.
const pageRecords = 4096

// reader is a reading connection.
type reader struct {
	*conn
	begin, end, get, forward, backward, changes, newest *stmt
}

func newReader(options Options) (*reader, error) {
	c, err := openConn(options.Path, options.VFS, readOnly, options.BusyTimeout)
	if err != nil {
		return nil, err
	}
	r := &reader{conn: c}
	// sha256 is NULL for a removed record. Nothing stands before it that would make SQLite read the body to tell.
	const columns = `SELECT revision, k, sha256, body FROM records `
	err = c.prepareAll(map[**stmt]string{
		&r.begin:    `BEGIN`,
		&r.end:      `COMMIT`,
		&r.get:      columns + `WHERE k = ? AND sha256 IS NOT NULL`,
		&r.forward:  columns + `WHERE k >= ? AND k < ? AND sha256 IS NOT NULL ORDER BY k`,
		&r.backward: columns + `WHERE k >= ? AND k < ? AND sha256 IS NOT NULL ORDER BY k DESC`,
		&r.changes:  `SELECT revision, k, sha256 IS NULL FROM records WHERE revision > ? ORDER BY revision LIMIT ?`,
		&r.newest:   `SELECT max(revision) FROM records`,
	})
	if err != nil {
		_ = c.close()
		return nil, err
	}
	return r, nil
}

// read calls f with a reader in a read transaction: all that f reads is of one point in time.
func (s *Store) read(ctx context.Context, f func(*reader) error) error {
	select {
	case <-s.closing:
		return errClosed()
	default:
	}
	select {
	case r := <-s.pool:
		defer func() { s.pool <- r }()
		return classify(ctx, r.snapshot(ctx, f))
	case <-s.closing:
		return errClosed()
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
}

func (r *reader) snapshot(ctx context.Context, f func(*reader) error) (err error) {
	r.interruptOn(ctx)
	// The transaction ends even when ctx has: one left open would keep the log from ever starting anew.
	defer func() {
		r.interruptOn(context.Background())
		if r.inTransaction() {
			if endErr := r.end.run(); err == nil {
				err = endErr
			}
		}
	}()
	if err := r.begin.run(); err != nil {
		return err
	}
	return f(r)
}

// record reads a row of the columns above and checks the body against its sum.
func record(r row) (store.Record, error) {
	key, err := store.ParseKey(r.raw(1))
	if err != nil {
		return store.Record{}, err
	}
	rec := store.Record{Key: key, Revision: uint64(r.integer(0)), Version: uint64(r.integer(0)), Body: r.blob(3)}
	// A body changed on disk, by a bad sector or a hand, must not decide anything.
	if sum := r.raw(2); len(sum) != sha256.Size || [sha256.Size]byte(sum) != sha256.Sum256(rec.Body) {
		return store.Record{}, corruptBody(key.Collection)
	}
	rec.SHA256 = [sha256.Size]byte(r.raw(2))
	return rec, nil
}

func corruptBody(collection string) error {
	return fault.New(fault.Corrupt, "a record of collection %q does not match its checksum; stop the host, keep a copy of the file for analysis and restore a backup", collection)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	s.work.gets.Add(1)
	s.work.keys.Add(int64(len(keys)))
	records := make([]store.Record, len(keys))
	err := s.read(ctx, func(r *reader) error {
		size := 0
		for i, key := range keys {
			records[i].Key = key
			err := r.get.each(func(row row) (_ bool, err error) {
				records[i], err = record(row)
				return false, err
			}, store.AppendKey(nil, key))
			if err != nil {
				return err
			}
			// Without this bound one call for the largest bodies would take all memory, only to be refused as a message.
			if size += len(records[i].Body); size > store.MaxMessage {
				return fault.New(fault.TooLarge, "the %d records asked for are larger than a message of %d bytes; ask for fewer at once", len(keys), store.MaxMessage)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Scan implements store.Store. Each page is a read of its own, so that a slow consumer holds neither a connection nor a
// snapshot, which would keep the log from starting anew. A record that does not change keeps its key and so its place.
func (s *Store) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	s.work.scans.Add(1)
	from, to := scanRange(scan)
	remaining := scan.Limit
	for {
		page, more, err := s.page(ctx, scan.Reverse, from, to, remaining)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if err := yield(rec); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		if last := store.AppendKey(nil, page[len(page)-1].Key); scan.Reverse {
			to = last
		} else {
			from = successor(last)
		}
		if scan.Limit > 0 {
			remaining -= uint64(len(page))
		}
	}
}

// scanRange is the range from <= k < to of encoded keys.
func scanRange(scan store.Scan) (from, to []byte) {
	from, to = store.PrefixRange(scan.Collection, scan.Tenant, scan.Namespace, scan.Prefix)
	if len(scan.StartAfter) == 0 {
		return from, to
	}
	start := store.AppendKey(nil, store.Key{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace, Path: scan.StartAfter})
	if scan.Reverse {
		return from, slices.MinFunc([][]byte{to, start}, bytes.Compare)
	}
	return slices.MaxFunc([][]byte{from, successor(start)}, bytes.Compare), to
}

// successor is the first byte string after k.
func successor(k []byte) []byte { return append(k, 0) }

// page reads records until the page is full; more says whether to ask again.
func (s *Store) page(ctx context.Context, reverse bool, from, to []byte, limit uint64) (page []store.Record, more bool, err error) {
	err = s.read(ctx, func(r *reader) error {
		query := r.forward
		if reverse {
			query = r.backward
		}
		size := 0
		return query.each(func(row row) (bool, error) {
			rec, err := record(row)
			if err != nil {
				return false, err
			}
			page = append(page, rec)
			size += len(rec.Body)
			if limit > 0 && uint64(len(page)) >= limit {
				return false, nil
			}
			more = size >= store.ScanPage || len(page) >= pageRecords
			return !more, nil
		}, from, to)
	})
	return page, more, err
}
