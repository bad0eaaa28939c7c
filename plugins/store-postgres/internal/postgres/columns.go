package postgres

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// batch is what both functions that commit are sent: the commits with all that is computed of them once.
type batch struct {
	commits      []store.Commit
	ids, digests []pgtype.UUID
	ops          []batchOp
}

// batchOp is one op of a batch.
type batchOp struct {
	store.Op
	// commit is the place of its commit in the batch, from 1.
	commit int32
	at     place
	expect int64
	// body and sum are null without a body; an empty body is not the lack of one.
	body, sum []byte
}

// Expectations as the functions take them, beside versions; 0 is absent.
const (
	expectAny   = -1
	expectNever = -2
)

func newBatch(commits []store.Commit) *batch {
	b := &batch{commits: commits, ids: make([]pgtype.UUID, len(commits)), digests: make([]pgtype.UUID, len(commits))}
	n := 0
	for _, c := range commits {
		n += len(c.Ops)
	}
	b.ops = make([]batchOp, 0, n)
	for i, c := range commits {
		digest := c.Digest()
		b.ids[i] = pgtype.UUID{Bytes: c.ID, Valid: true}
		// Half of it: two commits that somebody has made to agree in 128 bits would be commits of one host.
		b.digests[i] = pgtype.UUID{Bytes: [16]byte(digest[:16]), Valid: true}
		for _, op := range c.Ops {
			o := batchOp{Op: op, commit: int32(i + 1), at: placeOf(op.Key), expect: expectation(op)}
			if op.Kind == store.OpPut {
				hash := sha256.Sum256(op.Body)
				o.body, o.sum = op.Body, hash[:]
				if o.body == nil {
					o.body = []byte{}
				}
			}
			b.ops = append(b.ops, o)
		}
	}
	return b
}

func expectation(op store.Op) int64 {
	if op.Kind == store.OpAdd {
		return expectAny
	}
	version, any := op.Expect.Wants()
	switch {
	case any:
		return expectAny
	case version > store.MaxCounter:
		return expectNever // No record has it.
	}
	return int64(version)
}

// fresh says whether the batch may go to commit_fresh_v1: what its ops do must not depend on their order, and an op that takes
// a record as it comes would.
func (b *batch) fresh() bool {
	return !slices.ContainsFunc(b.ops, func(o batchOp) bool { return o.Kind != store.OpPut || o.expect < 0 })
}

// freshArgs are what commit_fresh_v1 takes.
func (b *batch) freshArgs() []any {
	ops := make([]*batchOp, len(b.ops))
	for i := range b.ops {
		ops[i] = &b.ops[i]
	}
	updates := func(o *batchOp) int { return int(min(o.expect, 1)) }
	slices.SortStableFunc(ops, func(x, y *batchOp) int {
		return cmp.Or(x.at.compareGroup(y.at), cmp.Compare(updates(x), updates(y)))
	})
	n := len(ops)
	where, g := newPlaces(n), groups{}
	commits, expects := make([]int32, n), make([]int64, n)
	bodies, sums := make([][]byte, n), make([][]byte, n)
	var replace []bool
	for i, o := range ops {
		where.add(o.at)
		commits[i], expects[i], bodies[i], sums[i] = o.commit, o.expect, o.body, o.sum
		update := o.expect > 0
		if g.add(o.at, len(replace) > 0 && replace[len(replace)-1] != update) {
			replace = append(replace, update)
		}
	}
	return []any{pgtype.FlatArray[pgtype.UUID](b.ids), pgtype.FlatArray[pgtype.UUID](b.digests),
		commits, where.collections, where.tenants, where.namespaces, where.paths,
		expects, bodies, sums, g.behalves, g.tables, replace, g.ends}
}

// args are what commit_v1 takes.
func (b *batch) args() []any {
	n := len(b.ops)
	where := newPlaces(n)
	counts := make([]int32, len(b.commits))
	kinds, expects := make([]int16, n), make([]int64, n)
	bodies, sums := make([][]byte, n), make([][]byte, n)
	deltas, maxima := make([]int64, n), make([]int64, n)
	for i, o := range b.ops {
		where.add(o.at)
		counts[o.commit-1]++
		kinds[i], expects[i], bodies[i], sums[i] = int16(o.Kind), o.expect, o.body, o.sum
		deltas[i], maxima[i] = o.Delta, int64(o.Max) // At most MaxCounter.
	}
	return []any{pgtype.FlatArray[pgtype.UUID](b.ids), pgtype.FlatArray[pgtype.UUID](b.digests), counts,
		where.tables, where.collections, where.tenants, where.namespaces, where.paths, where.behalves,
		kinds, expects, bodies, sums, deltas, maxima}
}

// compareGroup orders places so that those of one group are neighbours.
func (p place) compareGroup(q place) int {
	return cmp.Or(cmp.Compare(p.behalf, q.behalf), cmp.Compare(p.tenant, q.tenant), cmp.Compare(p.table, q.table))
}

// groups say which ops or keys one statement writes or reads: neighbours of one table and tenant, in the name of one tenant.
type groups struct {
	last     place
	behalves []int64
	tables   []int16
	// ends are the places of their last members, from 1.
	ends []int32
}

// add adds the next one, to the last group when it belongs there and must not begin another. It says whether it began one.
func (g *groups) add(p place, begin bool) bool {
	n := len(g.ends)
	if n > 0 && !begin && g.last.compareGroup(p) == 0 {
		g.ends[n-1]++
		return false
	}
	end := int32(1)
	if n > 0 {
		end += g.ends[n-1]
	}
	g.last = p
	g.behalves, g.tables, g.ends = append(g.behalves, p.behalf), append(g.tables, p.table), append(g.ends, end)
	return true
}
