package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCountTests(t *testing.T) {
	for _, test := range []struct {
		name, events string
		want         testReport
		fails        bool
	}{
		{name: "nothing"},
		{
			name: "pass, skip, fail",
			events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"fail","Package":"p","Test":"C"}
{"Action":"fail","Package":"p"}
`,
			want: testReport{Passed: 1, Skipped: 1, Failed: 2, Failures: []string{"p C", "p"}},
		},
		{name: "package that passes", events: `{"Action":"pass","Package":"p"}` + "\n"},
		{name: "not JSON", events: "panic: lost\n", fails: true},
	} {
		var got testReport
		err := got.count(strings.NewReader(test.events))
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.fails && (got.Passed != test.want.Passed || got.Failed != test.want.Failed || got.Skipped != test.want.Skipped || !slices.Equal(got.Failures, test.want.Failures)) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// The change is a commit where there is one, clean or not, and otherwise the files themselves.
func TestIdentifyChange(t *testing.T) {
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	d := &demo{repo: copied(t)}
	d.files = d.repo
	identify := func() change {
		t.Helper()
		c, err := d.identifyChange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(d.files, "sample", "more.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := identify()
	if files.Source != "files" || len(files.ID) != 64 || files.Clean || identify() != files {
		t.Errorf("outside of git: %+v", files)
	}
	write("package sample\n")
	if identify().ID == files.ID {
		t.Error("another file has the same hash")
	}
	git(t, d.repo, "init", "-q")
	git(t, d.repo, "add", ".")
	git(t, d.repo, "commit", "-q", "-m", "first")
	committed := identify()
	if committed.Source != "git" || len(committed.ID) != 40 || !committed.Clean {
		t.Errorf("clean checkout: %+v", committed)
	}
	write("package sample // changed\n")
	if changed := identify(); changed.Clean || changed.ID != committed.ID {
		t.Errorf("uncommitted change: %+v", changed)
	}
}
