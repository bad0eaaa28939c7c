package storetest

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The wrong stores fail on purpose: no files about it, and no time for the shortest example.
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "1ms"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread")); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// recorder takes the place of *testing.T where a check is meant to fail.
type recorder struct {
	t        *testing.T
	mu       sync.Mutex
	failed   bool
	report   []string
	cleanups []func()
}

// record runs a check and answers what it reports.
func record(t *testing.T, ck check, target target) (failed bool, report string) {
	r := &recorder{t: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, cleanup := range slices.Backward(r.cleanups) {
				cleanup()
			}
		}()
		runCheck(r, ck, target, true)
	}()
	<-done
	return r.failed, strings.Join(r.report, "\n")
}

func (r *recorder) Helper()              {}
func (r *recorder) Name() string         { return "recorded" }
func (r *recorder) TempDir() string      { return r.t.TempDir() }
func (r *recorder) Cleanup(f func())     { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Skip(...any)          { panic("the kit skips nothing") }
func (r *recorder) Skipf(string, ...any) { panic("the kit skips nothing") }
func (r *recorder) SkipNow()             { panic("the kit skips nothing") }
func (r *recorder) Log(args ...any)      { r.add(fmt.Sprintln(args...)) }
func (r *recorder) Error(args ...any)    { r.Errorf("%s", fmt.Sprintln(args...)) }
func (r *recorder) Fatal(args ...any)    { r.Fatalf("%s", fmt.Sprintln(args...)) }

func (r *recorder) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report = append(r.report, line)
}

func (r *recorder) Logf(format string, args ...any) { r.add(fmt.Sprintf(format, args...)) }

func (r *recorder) Errorf(format string, args ...any) {
	r.Logf(format, args...)
	r.Fail()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Logf(format, args...)
	r.FailNow()
}

func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// memory is a data set of model stores; wrap makes them wrong.
type memory struct {
	data *model.Data
	wrap func(store.Store) store.Store
	// single refuses a second process; running counts them.
	single  bool
	running int
}

func newMemory(wrap func(store.Store) store.Store) *memory {
	return &memory{data: model.New(), wrap: wrap}
}

func (m *memory) open() (*process, error) {
	if m.single && m.running > 0 {
		return nil, errors.New("the data is in use")
	}
	m.running++
	s := m.data.Open()
	end := sync.OnceFunc(func() {
		m.running--
		_ = s.Close()
	})
	return &process{Store: m.wrap(s), kill: end, stop: end}, nil
}
