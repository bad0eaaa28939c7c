//go:build !noscopechecks

package isolation

import "testing"

// TestSQLite: neither tenant learns anything of the other, nor does anything in its name.
func TestSQLite(t *testing.T) {
	folder := t.TempDir()
	good(t, try(t, Options{Settings: sqlite(t, folder), Folder: folder}))
}
