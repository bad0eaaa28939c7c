package storetest

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// maxFailures is how many failures of one check are told one by one: the first few say what is broken, and a hundred more
// bury them.
const maxFailures = 5

// failures is what a check has to say, and when in the life of the store it is.
type failures struct {
	mu     sync.Mutex
	told   int
	untold int
	// living counts the processes that have not ended.
	living int
	// end is how the last process ended, when how the one before the present one did; both are empty at first.
	end, when string
}

// add counts a failure and answers whether it is to be told.
func (f *failures) add() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == maxFailures {
		f.untold++
		return false
	}
	f.told++
	return true
}

// left answers how many failures were not told.
func (f *failures) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.untold
}

// begin notes that a process is opened, and answers whether another one lives.
func (f *failures) begin() (beside bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.living == 0 {
		f.when = f.end
	}
	f.living++
	return f.living > 1
}

// ended answers a function that notes once that a process has ended.
func (f *failures) ended() func(how string) {
	var once sync.Once
	return func(how string) {
		once.Do(func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.living--
			f.end = how
		})
	}
}

// place says when a failure happened, unless it says so itself: a store that forgets at a restart fails where nothing else
// is in sight but a record that is missing.
func (f *failures) place(format string, args ...any) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if f.when == "" || strings.Contains(text, "restart") || strings.Contains(text, "crash") {
		return text
	}
	return f.when + ": " + text
}

// Errorf reports a failure.
func (c *trial) Errorf(format string, args ...any) {
	c.Helper()
	if c.failures.add() {
		c.reporter.Errorf("%s", c.failures.place(format, args...))
	}
}

// Fatalf reports a failure after which the check cannot go on.
func (c *trial) Fatalf(format string, args ...any) {
	c.Helper()
	c.reporter.Fatalf("%s", c.failures.place(format, args...))
}

// inOrder visits cases by name, so that a store that fails many of them fails the same ones at every run.
func inOrder[V any](cases map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			if !yield(name, cases[name]) {
				return
			}
		}
	}
}
