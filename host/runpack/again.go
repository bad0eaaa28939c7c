package runpack

import (
	"context"
	"errors"
	"io/fs"
	"slices"
)

// replacer is a Sink in which an earlier bundle may lie: the new one takes its place.
type replacer interface {
	Sink
	// mayReplace refuses before anything is written.
	mayReplace(ctx context.Context, m *Manifest, manifestPath string) error
	// dropUnlisted removes what the bundle before had and this one has not, once this one is whole.
	dropUnlisted(m *Manifest) error
}

// mayReplace refuses a directory that holds the record of another run: without this, to export two runs to one directory
// would silently destroy the record of the first. The same run may be exported again (contract §9.6). A record whose
// manifest has a name of its own is not found; what is no manifest is replaced like any file.
func (d *Directory) mayReplace(ctx context.Context, m *Manifest, manifestPath string) error {
	for _, path := range []string{manifestPath, DefaultManifest} {
		content, err := newBundle(d, Options{}).read(ctx, path)
		if err != nil {
			continue // Nothing is there that could be a manifest.
		}
		there, err := parseManifest(content)
		if err != nil {
			continue
		}
		if there.TenantID != m.TenantID || there.NamespaceID != m.NamespaceID || there.ScenarioID != m.ScenarioID || there.RunID != m.RunID {
			return artifactError(textOtherRun, nil)
		}
	}
	return ctx.Err()
}

// dropUnlisted removes the files of the layout that the manifest does not list, which is the report of an export with
// verification before one without. Left behind, it would be found as a file that somebody has slipped in. Nothing else is
// removed: a client names the directory, and must not empty it.
func (d *Directory) dropUnlisted(m *Manifest) error {
	for _, file := range layout {
		if slices.ContainsFunc(m.Artifacts, func(a ArtifactRecord) bool { return a.Path == file.path }) {
			continue
		}
		if err := d.remove(file.path); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a file, or the symbolic link in its place, if it is there.
func (d *Directory) remove(path string) error {
	dir, name, err := d.locate(path, false)
	if err != nil {
		return err
	}
	defer dir.Close()
	switch err := dir.Remove(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return artifactError(textRemove, err)
	default:
		return syncDir(dir)
	}
}
