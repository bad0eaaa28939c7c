package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRun(t *testing.T) {
	var order []string
	var dir string
	for _, test := range []struct {
		name   string
		run    func(TB)
		failed bool
		want   string
	}{
		{"passes", func(t TB) { t.Logf("said %d", 1) }, false, "said 1"},
		{"fails and goes on", func(t TB) { t.Errorf("one"); t.Error("two", 2) }, true, "one|two 2"},
		{"ends", func(t TB) { t.Fatalf("one"); t.Errorf("two") }, true, "one"},
		{"fails without words", func(t TB) { t.FailNow() }, true, ""},
		{"panics", func(TB) { panic("boom") }, true, "the check panics: boom"},
		{"skips", func(t TB) { t.Skip("later") }, true, "skipped: later"},
		{"cleans up in order", func(t TB) {
			t.Cleanup(func() { order = append(order, "first") })
			t.Cleanup(func() { order = append(order, "second"); t.Errorf("in the end") })
		}, true, "in the end"},
		{"ends in a cleanup", func(t TB) { t.Cleanup(func() { t.Fatalf("there") }) }, true, "there"},
		{"has a folder", func(t TB) {
			dir = t.TempDir()
			if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, false, ""},
		{"draws", func(t TB) {
			rapid.Check(t, func(r *rapid.T) {
				if rapid.IntRange(0, 9).Draw(r, "n") > 4 {
					r.Fatalf("too large")
				}
			})
		}, true, "too large"},
	} {
		r := Run(Check{Name: test.name, Run: test.run})
		if got := strings.Join(r.Messages, "|"); r.Failed != test.failed || !strings.Contains(got, test.want) {
			t.Errorf("%s: failed %t, said %q; want %t, %q", test.name, r.Failed, got, test.failed, test.want)
		}
	}
	if want := []string{"second", "first"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up %q, want %q", order, want)
	}
	if _, err := os.Stat(dir); dir == "" || !os.IsNotExist(err) {
		t.Errorf("the folder %q is left: %v", dir, err)
	}
	if _, err := os.Stat("testdata/rapid"); !os.IsNotExist(err) {
		t.Error("a failure of a property has left a file")
		_ = os.RemoveAll("testdata/rapid")
	}
}
