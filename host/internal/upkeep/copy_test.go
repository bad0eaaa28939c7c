package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func copied(t *testing.T, from, to store.Store, options CopyOptions) *CopyReport {
	t.Helper()
	report, err := Copy(t.Context(), from, to, options)
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Fatalf("%+v", report)
	}
	return report
}

func TestCopy(t *testing.T) {
	from, to := filled(t, 1000), faultystore.New()
	report := copied(t, from, to, CopyOptions{})
	sameContents(t, from, to)
	if want := uint64(len(contents(t, from))); report.Compared != want || report.Revision < report.Announced {
		t.Errorf("%+v, want %d records compared", report, want)
	}
	// What changed since is all that a second copy writes.
	must(t, from, put(at("scenarios", 0, 0, "0"), "third"), store.Op{Kind: store.OpDelete, Key: at("notes", 1, 0, "0", "\x00\xff")})
	again := copied(t, from, to, CopyOptions{})
	if again.Records != report.Records+1 || again.Removed != report.Removed+1 || again.Resumed != report.Revision {
		t.Errorf("%+v after %+v", again, report)
	}
	sameContents(t, from, to)
	counts(t, to, at("schema_counts", 1, 0, "entries"), 500)
}

// A copy that was cut off anywhere goes on where it was.
func TestCopyResumes(t *testing.T) {
	from, to := filled(t, 1000), faultystore.New()
	cut := errors.New("cut off")
	var written uint64
	sessions := 0
	for ; ; sessions++ {
		if sessions > 100 {
			t.Fatal("it does not get on")
		}
		commits := 0
		to.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			if call == faultystore.Commit {
				if commits++; commits > 2 {
					return cut
				}
			}
			do()
			if call == faultystore.Commit && commits == 2 {
				return fault.New(fault.Internal, "its answer was lost") // and it had happened
			}
			return nil
		})
		report, err := Copy(t.Context(), from, to, CopyOptions{})
		if err == nil {
			written = report.Records
			break
		}
	}
	to.Around(nil)
	sameContents(t, from, to)
	if sessions < 3 || written > 3000 {
		t.Errorf("%d sessions wrote %d records", sessions, written)
	}
}

// Records are written while they are copied, again and again.
func TestCopyWhileItIsWritten(t *testing.T) {
	from, to := filled(t, 300), faultystore.New()
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	pace := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprint(w, "-", i%50)
				must(t, from, put(at("hot", 1, uint64(w), id), fmt.Sprint(i)), put(at("cold", 1, uint64(w), fmt.Sprint(i)), "once"))
				if i%7 == 0 {
					must(t, from, store.Op{Kind: store.OpDelete, Key: at("hot", 1, uint64(w), id)})
				}
				select {
				case <-pace:
				case <-ctx.Done():
				}
			}
		})
	}
	// The writers get on whenever the copy does, so that it never finds them at rest.
	report := copied(t, from, to, CopyOptions{Progress: func(Progress) {
		for range 5 {
			pace <- struct{}{}
		}
	}})
	stop()
	writers.Wait()
	if report.Different > 0 || report.Revision < report.Announced {
		t.Errorf("%+v", report)
	}
	copied(t, from, to, CopyOptions{})
	sameContents(t, from, to)
}

func TestCopyFollows(t *testing.T) {
	from, to := filled(t, 100), faultystore.New()
	stop := make(chan struct{})
	following := 0
	report := copied(t, from, to, CopyOptions{Follow: true, Stop: stop, Following: func(*CopyReport) {
		following++
		must(t, from, put(at("scenarios", 1, 0, "late"), "late"))
	}, Progress: func(p Progress) {
		if p.Doing == "following" && p.Records > 0 {
			select {
			case <-stop:
			default:
				must(t, from, put(at("scenarios", 1, 0, "later"), "later"))
				close(stop)
			}
		}
	}})
	sameContents(t, from, to)
	if following != 1 || report.Revision <= report.Announced {
		t.Errorf("%d %+v", following, report)
	}
}

func TestCopyRefuses(t *testing.T) {
	from := filled(t, 10)
	ours, others := faultystore.New(), faultystore.New()
	copied(t, from, ours, CopyOptions{})
	copied(t, filled(t, 10), others, CopyOptions{})
	served := faultystore.New()
	copied(t, from, served, CopyOptions{})
	must(t, served, put(at("scenarios", 7, 0, "new"), "a host's"))
	newer := faultystore.New()
	copied(t, from, newer, CopyOptions{})
	newer.Edit(ownCollection, func(_ store.Key, body []byte) []byte {
		return []byte(strings.Replace(string(body), `"format":1`, `"format":2`, 1))
	})
	for name, test := range map[string]struct {
		to   store.Store
		want string
	}{
		"itself":         {from, "the same store"},
		"other data":     {filled(t, 1), "holds other data"},
		"other source":   {others, "taken from another source"},
		"served since":   {served, "written to by others"},
		"a later format": {newer, "another version of this program"},
	} {
		before := contents(t, test.to)
		_, err := Copy(t.Context(), from, test.to, CopyOptions{})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if after := contents(t, test.to); len(after) != len(before) {
			t.Errorf("%s: it was written to", name)
		}
	}
}

// Two copies at once do not mix: one of them ends.
func TestCopyTwiceAtOnce(t *testing.T) {
	from, to := filled(t, 1000), faultystore.New()
	other := 0
	_, err := Copy(t.Context(), from, to, CopyOptions{Progress: func(p Progress) {
		if other++; other == 2 {
			copied(t, from, to, CopyOptions{})
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
}

// A record that was changed in the target is found, whatever its sum says.
func TestCopyFindsWhatDiffers(t *testing.T) {
	from, to := filled(t, 100), faultystore.New()
	copied(t, from, to, CopyOptions{})
	if to.Edit("scenarios", func(key store.Key, body []byte) []byte {
		if string(key.Path[0]) == "5" {
			return append(body, '!')
		}
		return body
	}) != 1 {
		t.Fatal("nothing was changed")
	}
	to.Edit("notes", func(key store.Key, body []byte) []byte {
		if string(key.Path[0]) == "8" {
			return nil
		}
		return body
	})
	report, err := Copy(t.Context(), from, to, CopyOptions{})
	if err != nil || report.OK() || report.Different != 2 || len(report.Differences) != 2 {
		t.Errorf("%+v %v", report, err)
	}
}

// A revision that the source does not have any more was lost there: going on would mix two histories.
func TestCopyFromAStoreThatWasSetBack(t *testing.T) {
	from, to := filled(t, 100), faultystore.New()
	copied(t, from, to, CopyOptions{})
	identity, err := knownIdentity(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	earlier := filled(t, 10)
	must(t, earlier, put(identityKey, identity))
	if _, err := Copy(t.Context(), earlier, to, CopyOptions{}); err == nil || !strings.Contains(err.Error(), "set back") {
		t.Error(err)
	}
}
