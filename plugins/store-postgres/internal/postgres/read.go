package postgres

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// pageRecords bounds a page of Scan and of Changes by number: small records must not make one unbounded.
const pageRecords = 4096

const (
	getSQL  = `SELECT out_key, out_revision, out_sha256, out_body FROM decision_gate.get_v1($1, $2, $3, $4, $5, $6, $7, $8)`
	scanSQL = `SELECT out_k, out_revision, out_sha256, out_body FROM decision_gate.scan_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
)

// reading is a call that only reads.
func (s *Store) reading(ctx context.Context, what string, f func(ctx context.Context) error) error {
	if s.closed() {
		return errClosed()
	}
	if err := ctx.Err(); err != nil {
		return classify(ctx, err)
	}
	return s.again(ctx, what, f)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s.work.gets.Add(1)
	s.work.keys.Add(int64(len(keys)))
	order, args := getArgs(keys)
	var records []store.Record
	err := s.reading(ctx, "get", func(ctx context.Context) error {
		records = make([]store.Record, len(keys))
		for i, key := range keys {
			records[i].Key = key
		}
		rows, err := s.pool.Query(ctx, getSQL, args...)
		if err != nil {
			return err
		}
		var number int32
		var r row
		_, err = pgx.ForEachRow(rows, []any{&number, &r.revision, &r.sum, &r.body}, func() (err error) {
			if number < 1 || int(number) > len(keys) {
				return fault.New(fault.Internal, "the database answered a record that was not asked for")
			}
			i := order[number-1]
			records[i], err = r.record(keys[i])
			return err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// getArgs are what get_v1 takes, with the place in keys of each that is asked for.
func getArgs(keys []store.Key) (order []int, args []any) {
	at := make([]place, len(keys))
	order = make([]int, len(keys))
	for i, key := range keys {
		at[i], order[i] = placeOf(key), i
	}
	slices.SortFunc(order, func(x, y int) int {
		return at[x].compareGroup(at[y])
	})
	where, g := newPlaces(len(keys)), groups{}
	for _, i := range order {
		where.add(at[i])
		g.add(at[i], false)
	}
	return order, []any{where.collections, where.tenants, where.namespaces, where.paths, g.behalves, g.tables, g.ends, int64(store.MaxMessage)}
}

// row is a record as the server answers it.
type row struct {
	revision  int64
	sum, body []byte
}

// record checks the body against its sum.
func (r row) record(key store.Key) (store.Record, error) {
	// A body changed on disk, by a bad sector or a hand, must not decide anything.
	if len(r.sum) != sha256.Size || [sha256.Size]byte(r.sum) != sha256.Sum256(r.body) {
		return store.Record{}, fault.New(fault.Corrupt, "a record of collection %q does not match its checksum; stop the hosts, keep a copy of the database for analysis and restore a backup", key.Collection)
	}
	return store.Record{Key: key, Version: uint64(r.revision), Revision: uint64(r.revision), Body: r.body, SHA256: [sha256.Size]byte(r.sum)}, nil
}

// Scan implements store.Store. Each page is a statement of its own, so that a slow consumer holds neither a connection nor
// a snapshot, which would keep the server from removing old rows. A record that does not change keeps its key and so its
// place.
func (s *Store) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	from, to := scanRange(scan)
	s.work.scans.Add(1)
	remaining := scan.Limit
	for {
		want := uint64(pageRecords)
		if scan.Limit > 0 {
			want = min(want, remaining)
		}
		page, last, more, err := s.page(ctx, scan, from, to, want)
		if err != nil {
			return err
		}
		for _, record := range page {
			if err := yield(record); err != nil {
				return err
			}
		}
		if remaining -= uint64(len(page)); !more || scan.Limit > 0 && remaining == 0 {
			return nil
		}
		if scan.Reverse {
			to = last
		} else {
			from = successor(last)
		}
	}
}

// page reads a page and answers the encoded path of its last record; more says whether to ask again.
func (s *Store) page(ctx context.Context, scan store.Scan, from, to []byte, want uint64) (page []store.Record, last []byte, more bool, err error) {
	where := scopePlace(scan.Collection, scan.Tenant, scan.Namespace, scan.Behalf)
	err = s.reading(ctx, "scan", func(ctx context.Context) error {
		page, more = nil, false
		rows, err := s.pool.Query(ctx, scanSQL, where.table, where.collection, where.tenant, where.namespace, from, to, scan.Reverse, where.behalf, int64(want), int64(store.ScanPage))
		if err != nil {
			return err
		}
		var k []byte
		var r row
		size := 0
		_, err = pgx.ForEachRow(rows, []any{&k, &r.revision, &r.sum, &r.body}, func() error {
			where.path = k
			key, err := where.key()
			if err != nil {
				return err
			}
			record, err := r.record(key)
			if err != nil {
				return err
			}
			page, last = append(page, record), k
			size += len(record.Body)
			return nil
		})
		more = size >= store.ScanPage || uint64(len(page)) == want
		return err
	})
	return page, last, more && len(page) > 0, err
}
