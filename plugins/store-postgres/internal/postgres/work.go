package postgres

import "sync/atomic"

// work counts what the store has done since it was opened. It is logged at the end: how many commits share a transaction,
// and so a sync, says more of how a machine keeps up than any single time.
type work struct {
	gets, keys, scans, requests, commits, transactions atomic.Int64
}

// count counts a transaction that holds these requests.
func (w *work) count(batch []*request) {
	w.transactions.Add(1)
	w.requests.Add(int64(len(batch)))
	for _, req := range batch {
		w.commits.Add(int64(len(req.commits)))
	}
}

func (w *work) attrs() []any {
	return []any{
		"gets", w.gets.Load(), "keys", w.keys.Load(), "scans", w.scans.Load(),
		"requests", w.requests.Load(), "commits", w.commits.Load(), "transactions", w.transactions.Load(),
	}
}
