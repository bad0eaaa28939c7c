package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

// wrongStores are stores with one mistake each, the checks that must catch it, and those that may notice it too.
// model-lockstep is in no list: it finds nearly everything, some of it by luck.
var wrongStores = []struct {
	name   string
	caught []string
	also   []string
	make   func(w *wrong, shared *world)
}{
	{"torn commit", []string{"commit-all-or-nothing", "commit-batch-independent"}, []string{"limit-keys", "limit-counts", "commit-key-twice", "changes-tell-all", "changes-after", "counter-bounds", "changes-selected"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			outcome, err := w.one(ctx, commit)
			if err == nil && outcome.Refusal != nil && outcome.Refusal.Op > 0 {
				_, err = w.one(ctx, store.Commit{ID: randomID(), Ops: commit.Ops[:outcome.Refusal.Op]})
			}
			return outcome, err
		})
	}},
	{"lost write", []string{"commit-nothing-lost"}, []string{"limit-counts", "counter-concurrent", "changes-complete", "crash-recovery", "get-one-moment", "read-your-writes", "processes-read"}, func(w *wrong, shared *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			outcome, err := w.one(ctx, commit)
			shared.mu.Lock()
			shared.count++
			lose := shared.count%97 == 0
			shared.mu.Unlock()
			if err == nil && outcome.Refusal == nil && lose {
				_, err = w.one(ctx, store.Commit{ID: randomID(), Ops: []store.Op{del(commit.Ops[0].Key)}})
			}
			return outcome, err
		})
	}},
	{"compare and swap in two steps", []string{"concurrent-compare-and-swap", "concurrent-create"}, []string{"commit-first-refused-op", "id-repeat", "id-other-ops", "processes-compare-and-swap", "crash-recovery", "id-repeat-at-once"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			ops := slices.Clone(commit.Ops)
			for i, op := range ops {
				got, err := w.Store.Get(ctx, []store.Key{op.Key})
				if err != nil {
					return store.Outcome{}, err
				}
				if !op.Expect.Met(got[0].Version) {
					return store.Outcome{Refusal: &store.Refusal{Reason: store.Conflict, Op: i, Version: got[0].Version}}, nil
				}
				ops[i].Expect = store.Any()
			}
			time.Sleep(100 * time.Microsecond)
			return w.one(ctx, store.Commit{ID: commit.ID, Ops: ops})
		})
	}},
	{"forgetful commit id", []string{"id-repeat", "id-repeat-in-batch", "id-repeat-at-once", "id-other-ops", "crash-recovery"}, []string{"id-repeat-after-restart", "processes-id"}, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			commits = slices.Clone(commits)
			for i := range commits {
				commits[i].ID = randomID()
			}
			return w.Store.Commit(ctx, commits)
		}
	}},
	{"commit id forgotten at restart", []string{"id-repeat-after-restart", "processes-id", "crash-recovery"}, nil, func(w *wrong, _ *world) {
		salt := randomID()
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			commits = slices.Clone(commits)
			for i := range commits {
				for j := range salt {
					commits[i].ID[j] ^= salt[j]
				}
			}
			return w.Store.Commit(ctx, commits)
		}
	}},
	{"same id with other ops accepted", []string{"id-other-ops", "id-repeat-in-batch", "id-repeat-after-restart"}, []string{"processes-id"}, func(w *wrong, shared *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			if first, ok := shared.outcomes[commit.ID]; ok {
				return first, nil
			}
			outcome, err := w.one(ctx, commit)
			if err == nil && outcome.Refusal == nil {
				shared.outcomes[commit.ID] = outcome
			}
			return outcome, err
		})
	}},
	{"refused commit remembered", []string{"id-refused-is-free"}, []string{"id-other-ops"}, func(w *wrong, shared *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			if first, ok := shared.outcomes[commit.ID]; ok {
				return first, nil
			}
			outcome, err := w.one(ctx, commit)
			if err == nil && outcome.Refusal != nil {
				shared.outcomes[commit.ID] = outcome
			}
			return outcome, err
		})
	}},
	{"counter overshoots under concurrency", []string{"counter-concurrent", "processes-counter"}, []string{"commit-first-refused-op", "id-repeat", "id-other-ops"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			refusal, err := w.overMaximum(ctx, commit)
			if err != nil || refusal != nil {
				return store.Outcome{Refusal: refusal}, err
			}
			time.Sleep(100 * time.Microsecond)
			return w.one(ctx, unbounded(commit))
		})
	}},
	{"counter passes its maximum by a batch", []string{"counter-batch"}, nil, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			if len(commits) == 1 || len(commits) > store.MaxCommits {
				return w.Store.Commit(ctx, commits)
			}
			outcomes := make([]store.Outcome, len(commits))
			for i, commit := range commits {
				refusal, err := w.overMaximum(ctx, commit)
				if err != nil {
					return nil, err
				}
				outcomes[i].Refusal = refusal
			}
			for i, commit := range commits {
				var err error
				if outcomes[i].Refusal == nil {
					outcomes[i], err = w.one(ctx, unbounded(commit))
				}
				if err != nil {
					return nil, err
				}
			}
			return outcomes, nil
		}
	}},
	{"stale read", []string{"read-your-writes", "version-grows"}, []string{"commit-expectations", "processes-read"}, func(w *wrong, shared *world) {
		w.get = func(ctx context.Context, keys []store.Key) ([]store.Record, error) {
			records, err := w.Store.Get(ctx, keys)
			shared.mu.Lock()
			defer shared.mu.Unlock()
			for i, record := range records {
				// The version before the current one is answered once.
				name := model.Name(record.Key)
				if had := shared.versions[name]; record.Version > 0 && !slices.Contains(had, record.Version) {
					shared.versions[name] = append(had, record.Version)
					if len(had) > 0 {
						records[i].Version = had[len(had)-1]
					}
				}
			}
			return records, err
		}
	}},
	{"a cache of its own in each process", []string{"processes-read"}, nil, func(w *wrong, _ *world) {
		var mu sync.Mutex
		cache := map[string]store.Record{}
		w.get = func(ctx context.Context, keys []store.Key) ([]store.Record, error) {
			records, err := w.Store.Get(ctx, keys)
			mu.Lock()
			defer mu.Unlock()
			for i, record := range records {
				if cached, ok := cache[model.Name(record.Key)]; ok {
					records[i] = cached
				} else if record.Version > 0 {
					cache[model.Name(record.Key)] = record
				}
			}
			return records, err
		}
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, commit := range commits {
				for _, op := range commit.Ops {
					delete(cache, model.Name(op.Key))
				}
			}
			return w.Store.Commit(ctx, commits)
		}
	}},
	{"Get reads key by key", []string{"get-one-moment"}, nil, func(w *wrong, _ *world) {
		w.get = func(ctx context.Context, keys []store.Key) (records []store.Record, err error) {
			if len(keys) > store.MaxKeys {
				return nil, fault.New(fault.Invalid, "too many keys")
			}
			for i := range keys {
				one, err := w.Store.Get(ctx, keys[i:i+1])
				if err != nil {
					return nil, err
				}
				records = append(records, one...)
				if len(keys) < 4 {
					time.Sleep(20 * time.Microsecond)
				}
			}
			return records, nil
		}
	}},
	{"scan out of order", []string{"scan-order", "scan-start-after", "scan-limit"}, []string{"scan-prefix"}, func(w *wrong, _ *world) {
		w.scan = func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			records, err := w.collect(ctx, store.Scan{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace, Prefix: scan.Prefix})
			if err != nil {
				return err
			}
			// Joined with a separator, as a naive SQL key is.
			return rescan(records, scan, func(a, b [][]byte) int {
				return cmp.Or(bytes.Compare(bytes.Join(a, []byte("/")), bytes.Join(b, []byte("/"))), cmp.Compare(len(a), len(b)))
			}, yield)
		}
	}},
	{"scan prefix by bytes", []string{"scan-prefix"}, []string{"scan-start-after"}, func(w *wrong, _ *world) {
		w.scan = func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			if len(scan.Prefix) == 0 {
				return w.Store.Scan(ctx, scan, yield)
			}
			last := len(scan.Prefix) - 1
			wide := store.Scan{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scan.Namespace, Prefix: scan.Prefix[:last]}
			records, err := w.collect(ctx, wide)
			if err != nil {
				return err
			}
			records = slices.DeleteFunc(records, func(record store.Record) bool {
				return len(record.Key.Path) <= last || !bytes.HasPrefix(record.Key.Path[last], scan.Prefix[last])
			})
			return rescan(records, scan, model.ComparePaths, yield)
		}
	}},
	{"scan ignores the namespace", []string{"scan-scope"}, nil, func(w *wrong, shared *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			for _, commit := range commits {
				for _, op := range commit.Ops {
					scope := op.Key
					scope.Path = nil
					shared.keys[model.Name(scope)] = scope
				}
			}
			return w.Store.Commit(ctx, commits)
		}
		w.scan = func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			shared.mu.Lock()
			var records []store.Record
			for _, scope := range shared.keys {
				if scope.Collection == scan.Collection && scope.Tenant == scan.Tenant {
					more, err := w.collect(ctx, store.Scan{Collection: scan.Collection, Tenant: scan.Tenant, Namespace: scope.Namespace, Prefix: scan.Prefix})
					if err != nil {
						shared.mu.Unlock()
						return err
					}
					records = append(records, more...)
				}
			}
			shared.mu.Unlock()
			return rescan(records, scan, model.ComparePaths, yield)
		}
	}},
	{"scan without limit", []string{"scan-limit"}, nil, func(w *wrong, _ *world) {
		w.scan = func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			// A signed number in the backend turns a large limit into none at all, and 7 into 8.
			if scan.Limit > math.MaxInt64 {
				scan.Limit = 1
			}
			return w.Store.Scan(ctx, scan, yield)
		}
	}},
	{"scan sees a changed record twice or never", []string{"scan-while-writing"}, []string{"crash-recovery"}, func(w *wrong, _ *world) {
		w.scan = func(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
			// Pages by offset: what is inserted before the offset moves records over the page's edge.
			for offset := uint64(0); ; offset += 50 {
				page := scan
				page.Limit = offset + 50
				records, err := w.collect(ctx, page)
				if err != nil {
					return err
				}
				if uint64(len(records)) <= offset {
					return nil
				}
				for i, record := range records[offset:] {
					if scan.Limit > 0 && offset+uint64(i) >= scan.Limit {
						return nil
					}
					if err := yield(record); err != nil {
						return err
					}
				}
			}
		}
	}},
	{"change feed with a gap", []string{"changes-tell-all", "changes-complete"}, []string{"changes-after", "changes-follow", "changes-after-restart", "changes-selected"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			return w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				set.Changes = slices.DeleteFunc(set.Changes, func(c store.Change) bool { return c.Revision%5 == 3 })
				return yield(set)
			})
		}
	}},
	{"change feed out of order", []string{"changes-tell-all", "changes-complete"}, []string{"changes-after", "changes-after-restart", "changes-selected"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			return w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				slices.Reverse(set.Changes)
				return yield(set)
			})
		}
	}},
	{"change feed complete too early", []string{"changes-complete"}, []string{"changes-tell-all", "changes-after", "changes-after-restart", "changes-selected"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			var late []store.Change
			return w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				// The last change of a set is told with the next one, as when a transaction commits late.
				set.Changes = append(late, set.Changes...)
				late = nil
				if n := len(set.Changes); n > 1 {
					late = slices.Clone(set.Changes[n-1:])
					set.Changes = set.Changes[:n-1]
				}
				return yield(set)
			})
		}
	}},
	{"change feed without deletes", []string{"changes-tell-all", "changes-after", "changes-after-restart"}, []string{"changes-selected"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			return w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				set.Changes = slices.DeleteFunc(set.Changes, func(c store.Change) bool { return c.Deleted })
				return yield(set)
			})
		}
	}},
	{"change feed that does not follow", []string{"changes-follow", "changes-complete"}, []string{"changes-tell-all", "changes-after", "changes-after-restart", "processes-read", "context-ended", "changes-selected"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			told := false
			_ = w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				if told = true; yield(set) != nil {
					return errEnough
				}
				return errEnough
			})
			if !told {
				return ctx.Err()
			}
			return fault.New(fault.Unavailable, "the feed ended")
		}
	}},
	{"change feed without the rare collections", []string{"changes-selected"}, []string{"changes-tell-all", "changes-after"}, func(w *wrong, _ *world) {
		w.changes = func(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
			return w.Store.Changes(ctx, after, func(set store.ChangeSet) error {
				set.Changes = slices.DeleteFunc(set.Changes, func(c store.Change) bool { return c.Key.Collection == "strange" })
				return yield(set)
			})
		}
	}},
	{"version repeats after a delete", []string{"version-recreate", "commit-batch-order"}, []string{"id-repeat"}, func(w *wrong, shared *world) { w.countVersions(shared) }},
	{"body stored as JSON", []string{"body-byte-for-byte"}, nil, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			return w.Store.Commit(ctx, cloneOps(commits, func(op *store.Op) {
				var compact bytes.Buffer
				if json.Compact(&compact, op.Body) == nil {
					op.Body = compact.Bytes()
				}
			}))
		}
	}},
	{"body cut at a NUL", []string{"body-byte-for-byte"}, []string{"limit-body", "counter-value", "body-large", "concurrent-compare-and-swap", "processes-compare-and-swap", "crash-recovery"}, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			return w.Store.Commit(ctx, cloneOps(commits, func(op *store.Op) { op.Body = untilNUL(op.Body) }))
		}
	}},
	{"key without case", []string{"key-paths"}, []string{"id-other-ops", "body-byte-for-byte", "scan-order", "scan-prefix", "scan-start-after", "scan-limit", "scan-scope", "changes-tell-all", "changes-after", "changes-selected"}, func(w *wrong, _ *world) { rekeyed(w, foldPath(bytes.ToLower)) }},
	{"key cut at a NUL", []string{"key-paths", "scan-order"}, []string{"scan-prefix", "scan-start-after", "scan-limit", "changes-tell-all", "changes-after", "changes-selected"}, func(w *wrong, _ *world) { rekeyed(w, foldPath(untilNUL)) }},
	{"key as valid UTF-8", []string{"key-paths"}, []string{"scan-order", "scan-prefix", "scan-start-after", "scan-limit", "scan-scope", "changes-tell-all", "changes-after", "changes-selected"}, func(w *wrong, _ *world) {
		rekeyed(w, foldPath(func(segment []byte) []byte { return bytes.ToValidUTF8(segment, []byte("?")) }))
	}},
	{"63 bits of a tenant", []string{"key-scopes", "scan-scope"}, []string{"changes-tell-all", "changes-after", "changes-selected"}, func(w *wrong, _ *world) {
		rekeyed(w, func(k store.Key) store.Key {
			k.Tenant &= math.MaxInt64
			return k
		})
	}},
	{"the caller's tenant in the place of the key's", []string{"key-behalf"}, nil, func(w *wrong, _ *world) {
		rekeyed(w, func(k store.Key) store.Key {
			if k.Behalf != 0 {
				k.Tenant = k.Behalf
			}
			return k
		})
	}},
	{"namespace as a float", []string{"key-scopes"}, []string{"scan-scope", "changes-tell-all", "changes-after", "changes-selected"}, func(w *wrong, _ *world) {
		rekeyed(w, func(k store.Key) store.Key {
			k.Namespace = uint64(min(float64(k.Namespace), 1<<63))
			return k
		})
	}},
	{"one refusal fails the batch", []string{"commit-batch-independent", "counter-batch"}, []string{"commit-batch-order", "id-refused-is-free"}, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			refused := false
			return eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
				if refused {
					return store.Outcome{Refusal: &store.Refusal{Reason: store.Conflict}}, nil
				}
				outcome, err := w.one(ctx, commit)
				refused = outcome.Refusal != nil
				return outcome, err
			})(ctx, commits)
		}
	}},
	{"refusal without the current version", []string{"commit-expectations", "commit-all-or-nothing", "commit-first-refused-op"}, []string{"commit-batch-independent", "commit-batch-order", "id-refused-is-free", "counter-bounds", "counter-only"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			outcome, err := w.one(ctx, commit)
			if outcome.Refusal != nil {
				refusal := *outcome.Refusal
				refusal.Version = 0
				outcome.Refusal = &refusal
			}
			return outcome, err
		})
	}},
	{"counter at any record", []string{"counter-only", "commit-all-or-nothing"}, []string{"commit-batch-independent"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			outcome, err := w.one(ctx, commit)
			if err == nil && outcome.Refusal != nil && outcome.Refusal.Reason == store.Invalid && commit.Check() == nil && commit.Ops[outcome.Refusal.Op].Kind == store.OpAdd {
				ops := slices.Clone(commit.Ops)
				ops[outcome.Refusal.Op] = put(ops[outcome.Refusal.Op].Key, counter(1))
				return w.one(ctx, store.Commit{ID: commit.ID, Ops: ops})
			}
			return outcome, err
		})
	}},
	{"limits below the protocol's", []string{"describe-limits"}, nil, func(w *wrong, _ *world) {
		w.about = func(d *store.Description) { d.CommitIDLifetime = time.Hour }
	}},
	{"revision that stands still", []string{"describe-revision"}, []string{"changes-tell-all", "changes-selected"}, func(w *wrong, _ *world) {
		w.about = func(d *store.Description) { d.Revision = min(d.Revision, 1) }
	}},
	{"ignores its context", []string{"context-ended"}, nil, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			return w.Store.Commit(context.WithoutCancel(ctx), commits)
		}
	}},
	{"body over the limit", []string{"limit-body"}, nil, func(w *wrong, _ *world) {
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			return w.Store.Commit(ctx, cloneOps(commits, func(op *store.Op) { op.Body = op.Body[:min(len(op.Body), store.MaxBody)] }))
		}
	}},
	{"key cut at its limit", []string{"limit-keys"}, nil, func(w *wrong, _ *world) {
		rekeyed(w, foldPath(func(segment []byte) []byte { return segment[:min(len(segment), store.MaxSegment)] }))
	}},
	{"commit cut at its limit", []string{"limit-counts"}, nil, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			n := len(commit.Ops)
			commit.Ops = commit.Ops[:min(n, store.MaxOps)]
			outcome, err := w.one(ctx, commit)
			if outcome.Refusal == nil {
				outcome.Versions = append(slices.Clone(outcome.Versions), make([]uint64, n-len(commit.Ops))...)
			}
			return outcome, err
		})
	}},
	{"commit without ops accepted", []string{"limit-empty-commit"}, nil, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			if len(commit.Ops) == 0 {
				return store.Outcome{}, nil
			}
			return w.one(ctx, commit)
		})
	}},
	{"last of two ops with one key wins", []string{"commit-key-twice"}, []string{"limit-keys"}, func(w *wrong, _ *world) {
		w.commit = eachCommit(func(ctx context.Context, commit store.Commit) (store.Outcome, error) {
			outcome, err := w.one(ctx, commit)
			if err != nil || commit.Check() == nil || len(commit.Ops) < 2 || len(commit.Ops) > store.MaxOps {
				return outcome, err
			}
			return eachOp(ctx, w, commit)
		})
	}},
	{"commit torn by a crash", []string{"crash-recovery"}, nil, func(w *wrong, _ *world) {
		var calls atomic.Int64
		w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
			// The commits of that check have so many ops. The call that is cut off is never answered.
			if len(commits) == 2 && len(commits[0].Ops) > crashOps && calls.Add(1) == 7 {
				_, _ = w.one(ctx, store.Commit{ID: randomID(), Ops: commits[0].Ops[:crashOps/2]})
				return nil, fault.New(fault.Unavailable, "killed")
			}
			return w.Store.Commit(ctx, commits)
		}
	}},
	{"forgets what was not flushed at a crash", []string{"crash-recovery"}, nil, func(w *wrong, shared *world) { w.buffered(shared) }},
}
