package runpacktest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUnsynced reads traces as strace -f -ttt -T -y writes them. DIR is the data directory; it holds what stays.
func TestUnsynced(t *testing.T) {
	const (
		create = `7 10.000000 openat(3<DIR>, "f", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5<DIR/f> <0.000010>`
		write  = `7 11.000000 write(5<DIR/f>, ""..., 10) = 10 <0.000010>`
		sync   = `7 12.000000 fsync(5<DIR/f>) = 0 (DELAYED) <0.000010>`
		dir    = `7 13.000000 fsync(3<DIR>) = 0 <0.000010>`
	)
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"all is synced", []string{create, write, sync, dir}, nil},
		{"the file is not", []string{create, write, dir}, []string{"the bytes of DIR/f"}},
		{"the directory is not", []string{create, write, sync}, []string{"the entry of DIR/f"}},
		{"the sync failed", []string{create, write, strings.Replace(sync, "= 0", "= -1 EIO (Input/output error)", 1), dir}, []string{"the bytes of DIR/f"}},
		{"the sync began before the write ended", []string{
			create, `7 11.000000 write(5<DIR/f>, ""..., 10 <unfinished ...>`, sync, `7 12.500000 <... write resumed>) = 10 <1.500000>`, dir,
		}, []string{"the bytes of DIR/f"}},
		{"the sync ended after the answer", []string{create, write, `7 19.000000 fsync(5<DIR/f>) = 0 <2.000000>`, dir}, []string{"the bytes of DIR/f"}},
		{"everything is synced", []string{create, write, `8 14.000000 sync() = 0 <0.000010>`}, nil},
		{"synced under another name", []string{
			`7 10.000000 mkdirat(3<DIR>, "tmp", 0700) = 0 <0.000010>`,
			`7 10.100000 openat(4<DIR/tmp>, "g", O_RDWR|O_CREAT, 0600) = 5<DIR/tmp/g> <0.000010>`,
			`7 10.200000 pwrite64(5<DIR/tmp/g>, ""..., 10, 0) = 10 <0.000010>`,
			`7 10.300000 fdatasync(5<DIR/tmp/g>) = 0 <0.000010>`,
			`7 10.400000 fsync(4<DIR/tmp>) = 0 <0.000010>`,
			`7 10.500000 renameat2(3<DIR>, "tmp", 3<DIR>, "d", RENAME_NOREPLACE) = 0 <0.000010>`,
			`7 10.600000 fsync(3<DIR>) = 0 <0.000010>`,
		}, nil},
		{"the rename is not synced", []string{
			dir, `7 14.000000 rename("DIR/tmp", "DIR/d") = 0 <0.000010>`,
		}, []string{"the entry of DIR/d"}},
		{"the names are of any text", []string{
			`7 10.000000 openat(AT_FDCWD</a \"b\", c's \303\274>, "DIR/f", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5<DIR/f> <0.000010>`,
			write, sync,
			`7 12.100000 renameat(AT_FDCWD</a, b>, "DIR/x, \"y\"", AT_FDCWD</a, b>, "DIR/\303\274, z") = 0 <0.000010>`,
		}, []string{"the entry of DIR/ü, z"}},
		{"the directory was made by an export that failed", []string{
			`7 5.000000 mkdirat(3<DIR>, "d", 0700) = 0 <0.000010>`, `7 5.100000 fsync(3<DIR>) = -1 EIO (Input/output error) (INJECTED) <0.000010>`,
			`7 10.000000 openat(4<DIR/d>, "g", O_RDWR|O_CREAT, 0600) = 5<DIR/d/g> <0.000010>`,
			`7 10.100000 fsync(5<DIR/d/g>) = 0 <0.000010>`, `7 10.200000 fsync(4<DIR/d>) = 0 <0.000010>`,
		}, []string{"the entry of DIR/d"}},
		{"a temporary file is not", []string{create, write, sync, dir, `7 14.000000 openat(3<DIR>, "gone", O_CREAT, 0600) = 6<DIR/gone> <0.000010>`}, nil},
		{"nothing was written here", []string{`7 11.000000 write(1</elsewhere>, ""..., 10) = 10 <0.000010>`}, []string{"set Remote"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := t.TempDir()
			if err := os.MkdirAll(filepath.Join(data, "d"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"f", "d/g", "ü, z"} {
				if err := os.WriteFile(filepath.Join(data, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			events, err := parseTrace(strings.ReplaceAll(strings.Join(c.lines, "\n")+"\n", "DIR", data))
			if err != nil {
				t.Fatal(err)
			}
			got := unsynced(events, data, time.Unix(9, 0), time.Unix(20, 0))
			if !slices.EqualFunc(got, c.want, func(g, w string) bool { return strings.Contains(strings.ReplaceAll(g, data, "DIR"), w) }) {
				t.Errorf("unsynced = %q, want %q", got, c.want)
			}
		})
	}
}
