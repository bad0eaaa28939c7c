//go:build noscopechecks

package isolation

import "testing"

// TestUnheld: with neither the host's checks nor row-level security nothing holds a tenant, and a trial that finds nothing then
// would find nothing anywhere. Functions of PostgreSQL that believe the keys are found out alike.
func TestUnheld(t *testing.T) {
	folder := t.TempDir()
	if r := try(t, Options{Settings: sqlite(t, folder), Folder: folder}); len(r.Findings) == 0 {
		t.Error("SQLite: nothing was found")
	}
	folder = t.TempDir()
	if r := try(t, Options{Settings: postgres(t, folder, "gullible"), Folder: folder}); len(r.Findings) == 0 {
		t.Error("functions that believe the keys: nothing was found")
	}
}

// TestUnconditional: row-level security holds when the functions ask for no tenant either.
func TestUnconditional(t *testing.T) {
	folder := t.TempDir()
	good(t, try(t, Options{Settings: postgres(t, folder, "unconditional"), Folder: folder, Substitutes: true}))
}
