package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSafeToExecute lays out programs that others can and cannot replace, at every height of their path.
func TestSafeToExecute(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mkdir := func(name string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(base, name)
		if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	program := func(dir string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, "program")
		if err := errors.Join(os.WriteFile(path, nil, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(target, name string) string {
		t.Helper()
		path := filepath.Join(base, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := program(mkdir("good/bin", 0o755), 0o755)
	shared := mkdir("shared", 0o777)
	below := program(mkdir("shared/a/b/bin", 0o755), 0o755)
	sticky := mkdir("sticky", 0o777|os.ModeSticky)
	team := mkdir("team", 0o775)
	wantTeam := "chmod go-w " + team
	if privateGroup() != noOwner {
		wantTeam = "" // root, who is in the group root, or another user who is alone in a group
	}
	for name, test := range map[string]struct{ path, want string }{
		"good":                      {good, ""},
		"program":                   {program(mkdir("loose", 0o755), 0o757), "chmod go-w " + filepath.Join(base, "loose", "program")},
		"folder":                    {program(shared, 0o755), "chmod go-w " + shared},
		"folder far above":          {below, "chmod go-w " + shared},
		"sticky folder":             {program(sticky, 0o755), ""},
		"sticky folder far above":   {program(mkdir("sticky/a/b", 0o755), 0o755), ""},
		"folder of the team":        {program(mkdir("teambin", 0o775), 0o755), "chmod go-w " + filepath.Join(base, "teambin")},
		"folder of the team, above": {program(mkdir("team/bin", 0o755), 0o755), wantTeam},
		"link to a good one":        {link(good, "linked"), ""},
		"link from a shared folder": {link(good, "shared/linked"), "chmod go-w " + shared},
		"link by a shared folder":   {link(link(good, "shared/hop"), "hopped"), "chmod go-w " + shared},
		"link of a folder":          {filepath.Join(link(filepath.Join("shared", "a"), "folder"), "b", "bin", "program"), "chmod go-w " + shared},
		"link up":                   {link("good/../good/bin/program", "upward"), ""},
		"link to itself":            {link("loop", "loop"), "more than 40 symbolic links"},
		"absent":                    {filepath.Join(base, "absent"), "no such file"},
	} {
		err := safeToExecute(test.path)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	wantOwner(t, good)
}

// wantOwner gives a program to another user, where this one may.
func wantOwner(t *testing.T, path string) {
	t.Helper()
	const other = 12345
	if trustedOwner(other) || !trustedOwner(0) || !trustedOwner(uint32(os.Geteuid())) {
		t.Error("the owners that are trusted are not root and this user")
	}
	if os.Geteuid() != 0 {
		return
	}
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := os.Lchown(name, other, 0); err != nil {
			t.Fatal(err)
		}
		want := name + " belongs to 12345, who could replace the plugin: chown root " + name
		if err := safeToExecute(path); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
		if err := os.Lchown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
