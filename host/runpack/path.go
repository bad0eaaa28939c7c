package runpack

import "strings"

const (
	// maxPath is the length in bytes of the longest path, root included (contract §9.6).
	maxPath = 4096
	// maxComponent is the length in bytes of the longest component of a path (contract §9.6).
	maxComponent = 255
)

// splitPath returns the components of a path in a bundle; "." and empty ones are tolerated and dropped.
//
// A path that is absolute or climbs would let a manifest read, or an export overwrite, any file of the machine.
func splitPath(path string) ([]string, error) {
	if strings.HasPrefix(path, "/") {
		return nil, artifactError(textAbsolute, nil)
	}
	var components []string
	for c := range strings.SplitSeq(path, "/") {
		switch {
		case c == "" || c == ".":
			continue
		case c == "..":
			return nil, artifactError(textEscapes, nil)
		case len(c) > maxComponent:
			return nil, artifactError(textComponentLong, nil)
		case strings.ContainsRune(c, 0):
			// NUL cuts a path off in system calls.
			return nil, artifactError(textResolvePath, nil)
		}
		components = append(components, c)
	}
	switch {
	case len(components) == 0:
		return nil, artifactError(textEscapes, nil)
	case len(path) > maxPath:
		return nil, artifactError(textPathLong, nil)
	}
	return components, nil
}

// cleanPath is one spelling of a path, so that "a", "./a" and "a/" are known to be one file.
func cleanPath(path string) string {
	components, err := splitPath(path)
	if err != nil {
		return path
	}
	return joinPath(components)
}

func joinPath(components []string) string { return strings.Join(components, "/") }

// checkManifestName checks the path of a manifest that is to be written; empty is no name.
func checkManifestName(path string) error {
	if strings.Trim(path, "./") == "" && !strings.Contains(path, "..") && !strings.HasPrefix(path, "/") {
		return artifactError(textManifestName, nil)
	}
	_, err := splitPath(path)
	return err
}
