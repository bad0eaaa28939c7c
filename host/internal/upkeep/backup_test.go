package upkeep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func backedUp(t *testing.T, s store.Store) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), s, path, Header{Store: "test"}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func restored(t *testing.T, path string, to store.Store) *RestoreReport {
	t.Helper()
	report, err := Restore(t.Context(), path, to, nil)
	if err != nil || !report.OK() {
		t.Fatalf("%+v %v", report, err)
	}
	return report
}

func TestBackup(t *testing.T) {
	from, to := filled(t, 1000), faultystore.New()
	large := at("large", 1, 1, "body")
	must(t, from, put(large, strings.Repeat("x", 20<<20)))
	path := backedUp(t, from)
	restored(t, path, to)
	sameContents(t, from, to)
	counts(t, to, at("schema_counts", 1, 0, "entries"), 500)
	if again, err := Restore(t.Context(), path, to, nil); err == nil || !strings.Contains(err.Error(), "written to by others") {
		t.Errorf("over what was written since: %+v %v", again, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
}

func TestBackupOfAnEmptyStore(t *testing.T) {
	to := faultystore.New()
	if report := restored(t, backedUp(t, faultystore.New()), to); report.Records != 0 {
		t.Errorf("%+v", report)
	}
}

// A backup is the store at one moment: pairs that are written together are in it together, whatever is written meanwhile.
func TestBackupIsOneMoment(t *testing.T) {
	from := filled(t, 300)
	pace, ctx := make(chan struct{}), t.Context()
	var writers sync.WaitGroup
	ended, end := context.WithCancel(ctx)
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				body := fmt.Sprint(i)
				ops := []store.Op{put(at("left", 1, 0, fmt.Sprint(w)), body), put(at("right", 1, 0, fmt.Sprint(w)), body)}
				if i%3 == 2 {
					ops = []store.Op{{Kind: store.OpDelete, Key: ops[0].Key}, {Kind: store.OpDelete, Key: ops[1].Key}}
				}
				must(t, from, ops...)
				select {
				case <-pace:
				case <-ended.Done():
					return
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "backup")
	_, err := Backup(ctx, from, path, Header{}, func(Progress) {
		for range 4 {
			pace <- struct{}{}
		}
	})
	end()
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	to := faultystore.New()
	restored(t, path, to)
	for w := range 3 {
		a, _ := get(ctx, to, at("left", 1, 0, fmt.Sprint(w)))
		b, _ := get(ctx, to, at("right", 1, 0, fmt.Sprint(w)))
		if string(a.Body) != string(b.Body) || (a.Version == 0) != (b.Version == 0) {
			t.Errorf("%q and %q were written together", a.Body, b.Body)
		}
	}
}

// A commit that falls between what is told and what is read, or between two reads, or across the end of a page, is in the
// backup as a whole or not at all.
func TestBackupIsOneMomentBetweenTellingAndReading(t *testing.T) {
	left, right := at("pair", 1, 0, "left"), at("pair", 1, 0, "right")
	both := []store.Op{put(left, "new"), put(right, "new")}
	moved := []store.Op{{Kind: store.OpDelete, Key: right}, put(at("pair", 1, 0, "elsewhere"), "old")}
	for name, test := range map[string]struct {
		others int // records between the two
		get    int // before which read it is committed
		ops    []store.Op
	}{
		"between two reads":       {254, 2, both}, // of 255 keys, and of the last
		"moved before it is read": {254, 2, moved},
		"across a page":           {598, 1, both}, // the second page ends between the two
	} {
		from, to := faultystore.New(), faultystore.New()
		must(t, from, put(left, "old"))
		for i := range test.others {
			must(t, from, put(at("others", 1, 0, fmt.Sprint(i)), "x"))
		}
		must(t, from, put(right, "old"))
		gets := 0
		from.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			if call == faultystore.Get {
				if gets++; gets == test.get {
					must(t, from, test.ops...)
				}
			}
			do()
			return nil
		})
		path := backedUp(t, from)
		restored(t, path, to)
		t.Log(name)
		sameContents(t, from, to)
	}
}

// A restore that was cut off anywhere goes on where it was.
func TestRestoreResumes(t *testing.T) {
	from, to := filled(t, 1000), faultystore.New()
	path := backedUp(t, from)
	cut := errors.New("cut off")
	for sessions := 0; ; sessions++ {
		commits := 0
		to.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			if call == faultystore.Commit {
				if commits++; commits > 2 {
					return cut
				}
			}
			do()
			return nil
		})
		report, err := Restore(t.Context(), path, to, nil)
		if err == nil {
			if sessions < 3 || report.Resumed == 0 {
				t.Errorf("%d sessions, %+v", sessions, report)
			}
			break
		}
		if sessions > 100 {
			t.Fatal("it does not get on")
		}
	}
	to.Around(nil)
	sameContents(t, from, to)
	if _, err := Restore(t.Context(), backedUp(t, filled(t, 5)), to, nil); err == nil || !strings.Contains(err.Error(), "another source") {
		t.Error(err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	path := backedUp(t, filled(t, 20))
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	resum := func(content []byte) []byte {
		sum := sha256.Sum256(content[:len(content)-sha256.Size])
		return append(content[:len(content)-sha256.Size], sum[:]...)
	}
	format := len(backupMagic) + 3
	files := map[string][]byte{
		"no backup":          []byte("SQLite format 3\x00 and more"),
		"an empty file":      {},
		"a later format":     resum(append(append(bytes.Clone(sound[:format]), backupFormat+1), sound[format+1:]...)),
		"something after it": append(bytes.Clone(sound), 0),
		"twice":              append(bytes.Clone(sound), sound...),
		"another count":      resum(bytes.Replace(bytes.Clone(sound), []byte(`"records":`), []byte(`"records":1`), 1)),
		"a frame of our own": resum(bytes.Replace(bytes.Clone(sound), []byte("scenarios\x00"), []byte("scena/ios\x00"), 1)),
		"a kind of its own":  resum(bytes.Replace(bytes.Clone(sound), []byte{framePut}, []byte{'X'}, 1)),
		"no header":          resum(bytes.Replace(bytes.Clone(sound), []byte{frameHeader}, []byte{framePut}, 1)),
		"an endless length":  append(bytes.Clone(sound[:format+1]), append([]byte{frameHeader}, bytes.Repeat([]byte{0xff}, 40)...)...),
		"a length of a TiB":  append(bytes.Clone(sound[:format+1]), frameHeader, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0),
		"more than the file": append(bytes.Clone(sound[:format+1]), frameHeader, 0, 0x80, 0x80, 0x80, 4),
	}
	for i := range sound {
		if i%5 == 0 || len(sound)-i < 50 {
			files[fmt.Sprintf("cut at %d", i)] = sound[:i]
		}
		if i%7 == 0 {
			changed := bytes.Clone(sound)
			changed[i] ^= 1
			files[fmt.Sprintf("changed at %d", i)] = changed
		}
	}
	for name, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		to := faultystore.New()
		_, err := Restore(t.Context(), path, to, nil)
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
		if len(contents(t, to)) > 0 {
			t.Errorf("%s: something was restored", name)
		}
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), path, filled(t, 1), nil); err == nil || !strings.Contains(err.Error(), "holds other data") {
		t.Error(err)
	}
}

// A backup that fails leaves the one of before as it was.
func TestBackupReplacesOnlyWhole(t *testing.T) {
	from := filled(t, 1000)
	path := backedUp(t, from)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if _, err := Backup(ctx, from, path, Header{}, func(Progress) { stop() }); err == nil {
		t.Fatal("it went on")
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v)", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func FuzzRestore(f *testing.F) {
	path := filepath.Join(f.TempDir(), "backup")
	if _, err := Backup(f.Context(), filled(f, 3), path, Header{}, nil); err != nil {
		f.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sound)
	f.Add([]byte(backupMagic))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := readBackup(t.Context(), bytes.NewReader(content), uint64(len(content)), nil, func(uint64) {})
		var refused *RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Fatal(err)
		}
		if err == nil && found.sum == "" {
			t.Fatal("no sum")
		}
	})
}
