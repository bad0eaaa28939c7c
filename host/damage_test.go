package host_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedFiles changes a byte of the database or of its log, or cuts them, and starts a host on it. It may refuse to start
// and say why; where it starts, each decision is answered as it was given, or not at all.
func TestDamagedFiles(t *testing.T) {
	const page, samples = 4096, 5
	flip := func(file []byte) []byte { file[rand.IntN(len(file))] ^= byte(1 + rand.IntN(255)); return file }
	cut := func(file []byte) []byte { return file[:1+rand.IntN(len(file)-1)] }
	// The first bytes of a page say how all others are to be read.
	header := func(file []byte) []byte {
		file[rand.IntN(len(file)/page)*page+rand.IntN(12)] ^= 1 << rand.IntN(8)
		return file
	}
	tests := []struct {
		name   string
		killed bool // the host was: the log holds what it has committed
		file   string
		change func([]byte) []byte
		// refused: every change is noticed at the start.
		refused bool
	}{
		{"a changed page", false, "gate.db", flip, false},
		{"a changed page header", false, "gate.db", header, false},
		{"a cut database", false, "gate.db", cut, false},
		{"a changed log", true, "gate.db-wal", flip, true},
		{"a cut log", true, "gate.db-wal", cut, true},
	}
	left := map[bool]*siege{}
	given := map[bool]*acknowledged{}
	for _, killed := range []bool{false, true} {
		left[killed], given[killed] = served(t, killed)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSiege(t, 1)
			for n := range samples {
				for _, name := range []string{"gate.db", "gate.db-wal", "gate.db-shm"} {
					if tt.killed || name == "gate.db" {
						copyFile(t, filepath.Join(left[tt.killed].dir, name), filepath.Join(s.dir, name))
					} else if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
						t.Fatal(err)
					}
				}
				path := filepath.Join(s.dir, tt.file)
				file, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				whole := len(file)
				if err := os.WriteFile(path, tt.change(file), 0o600); err != nil {
					t.Fatal(err)
				}
				s.note("sample %d of %d bytes", n, whole)
				if started := answersTruly(t, s, given[tt.killed]); started && tt.refused {
					t.Errorf("the host starts on %s", tt.name)
				}
			}
		})
	}
}

// askedOfRun is how many decisions of a run are asked for once more, and so how much of a damaged file is read.
const askedOfRun = 25

// answersTruly starts the host, unless it refuses to for a reason that it tells, and asks for what was decided.
func answersTruly(t *testing.T, s *siege, given *acknowledged) (started bool) {
	t.Helper()
	b := s.hosts[0]
	if b.open() != nil {
		b.host.kill()
		for _, says := range []string{"store/sqlite", "gate.db", "restore a backup"} {
			if said := lastLine(b.host.log.String()); !strings.Contains(said, says) {
				t.Errorf("the host does not say %s, but\n%s", says, said)
			}
		}
		return false
	}
	defer b.host.kill()
	f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
	failed := false
	ask := func(run, trigger string) (d decision, ok bool) {
		r := f.call("scenario_next", next(run, trigger))
		if e := r.Error; e != nil {
			failed = true
			if e.Code != -32050 || strings.Contains(e.Message, "/") {
				t.Errorf("a client is told %+v", e)
			}
			return d, false
		}
		if err := d.UnmarshalJSON(r.Result); err != nil {
			t.Error(err)
		}
		return d, true
	}
	for run, triggers := range given.given {
		left := askedOfRun
		for trigger, told := range triggers { // in no order
			if left--; left < 0 {
				break
			}
			if d, ok := ask(run, trigger); ok && d.whole != told.whole {
				t.Errorf("%s: on %s a client was told\n%s\nand after the damage\n%s", run, trigger, told.whole, d.whole)
			}
		}
		if d, ok := ask(run, fmt.Sprint("new-", run)); ok && d.Decision.Seq <= uint64(len(triggers)) {
			t.Errorf("%s has %d decisions, and the next is number %d", run, len(triggers), d.Decision.Seq)
		}
	}
	if failed {
		waitFor(t, "an alarm in the log", func() bool { return strings.Contains(b.host.log.String(), "ALARM") })
		if b.ready() {
			t.Error("the host is ready after it met damage")
		}
	}
	return true
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
