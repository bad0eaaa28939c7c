// Package conformance is what the kits have in common: a check, what it is told through, and a way to run it without
// "go test", for plugins that are written in other languages and tested by a command.
package conformance

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Check is one promise of a plugin.
type Check struct {
	// Name is unique in its kit.
	Name string
	// Proves is the promise in words.
	Proves string
	// Run tells through TB what is broken. It may be called once.
	Run func(TB)
}

// TB is the part of *testing.T that checks use.
type TB interface {
	Helper()
	Name() string
	Log(args ...any)
	Logf(format string, args ...any)
	Skip(args ...any)
	Skipf(format string, args ...any)
	SkipNow()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Fail()
	FailNow()
	Failed() bool
	Cleanup(func())
	TempDir() string
}

// Test runs checks as subtests of a test.
func Test(t *testing.T, checks []Check) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.Name, func(t *testing.T) { c.Run(t) })
	}
}

// Result is what came of a check.
type Result struct {
	Failed bool
	// Messages are what the check has said, in order: what is broken first.
	Messages []string
	Took     time.Duration
}

// Run runs a check outside of "go test". What the check opens has ended, and its files are gone, when Run returns. A check
// that skips itself has failed: it has shown nothing.
func Run(c Check) Result {
	prepare(false)
	r := &recorder{name: c.Name}
	begun := time.Now()
	r.protect(func() { c.Run(r) })
	r.clean()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{Failed: r.failed, Messages: slices.Clone(r.messages), Took: time.Since(begun)}
}

// Short makes checks repeat less, as -short does in "go test".
func Short() { prepare(true) }

var preparing sync.Mutex

// prepare sets the flags that the standard library and the library of property tests look at; no command line is read for
// them, and a failure leaves no file in the working directory.
func prepare(short bool) {
	preparing.Lock()
	defer preparing.Unlock()
	testing.Init()
	if !flag.Parsed() {
		_ = flag.CommandLine.Parse(nil)
	}
	_ = flag.Set("rapid.nofailfile", "true") // an error: no property is checked in this program
	if short {
		_ = flag.Set("test.short", "true")
	}
}

// recorder is a TB that remembers.
type recorder struct {
	name string

	mu       sync.Mutex
	failed   bool
	messages []string
	cleanups []func()
}

// protect runs f in a goroutine of its own, which FailNow ends; a panic is a failure.
func (r *recorder) protect(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("the check panics: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	<-done
}

// clean runs what was left to the end, the last first.
func (r *recorder) clean() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		last := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		r.protect(last)
	}
}

func (r *recorder) say(failed bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = r.failed || failed
	if text != "" {
		r.messages = append(r.messages, strings.TrimRight(text, "\n"))
	}
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return r.name }

func (r *recorder) Log(args ...any)                   { r.say(false, fmt.Sprintln(args...)) }
func (r *recorder) Logf(format string, args ...any)   { r.say(false, fmt.Sprintf(format, args...)) }
func (r *recorder) Error(args ...any)                 { r.say(true, fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.say(true, fmt.Sprintf(format, args...)) }
func (r *recorder) Fail()                             { r.say(true, "") }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any)                 { r.Fatal(append([]any{"skipped:"}, args...)...) }
func (r *recorder) Skipf(format string, args ...any) { r.Fatalf("skipped: "+format, args...) }
func (r *recorder) SkipNow()                         { r.Fatal("skipped") }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) TempDir() string {
	dir, err := os.MkdirTemp("", "dg-conformance-*")
	if err != nil {
		r.Fatalf("make a folder for the check: %v", err)
	}
	r.Cleanup(func() {
		// A process that is being killed may still make files.
		for range removeAttempts {
			if err = os.RemoveAll(dir); err == nil || !errors.Is(err, os.ErrExist) {
				return
			}
			time.Sleep(removePause)
		}
	})
	return dir
}

const (
	removeAttempts = 20
	removePause    = 50 * time.Millisecond
)
