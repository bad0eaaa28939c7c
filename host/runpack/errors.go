package runpack

import (
	"errors"
	"fmt"
)

// ErrSpecHash says that a run was started with another spec than the one given.
var ErrSpecHash = errors.New("hashing error: run state spec hash mismatch")

// ArtifactError says what could not be done with a file of a bundle. Its text is the contract's (§9.6) and holds no path of
// the machine; the cause does and is for the operator's log only.
type ArtifactError struct {
	Message string
	Cause   error
}

func (e *ArtifactError) Error() string { return "artifact error: " + e.Message }

// Unwrap returns the cause.
func (e *ArtifactError) Unwrap() error { return e.Cause }

// ErrNotAllowed says that a directory which a client names is in none of those that it may use.
var ErrNotAllowed error = &ArtifactError{Message: textNotAllowed}

// The texts of contract §9.6 and mcp contract §4.14.
const (
	textAbsolute       = "absolute artifact path not allowed"
	textEscapes        = "artifact path escapes runpack root"
	textPathLong       = "runpack path exceeds limit"
	textComponentLong  = "runpack path component too long"
	textManifestName   = "manifest name missing filename"
	textResolveRoot    = "unable to resolve runpack root"
	textResolvePath    = "unable to resolve artifact path"
	textReadMetadata   = "unable to read artifact metadata"
	textRead           = "unable to read artifact"
	textCreateDir      = "unable to create artifact directory"
	textWrite          = "unable to write artifact"
	textCreateManifest = "unable to create manifest directory"
	textWriteManifest  = "unable to write manifest"
	textNotAllowed     = "directory is not inside runpack_dirs"
	textChanged        = "artifact changed while it was being verified"
	textOtherRun       = "the directory holds the runpack of another run, name another directory"
	textRemove         = "unable to remove the artifact of an earlier export"
)

func artifactError(message string, cause error) error {
	return &ArtifactError{Message: message, Cause: cause}
}

// asManifest gives an error of writing the texts that it has for the manifest.
func asManifest(err error) error {
	var artifact *ArtifactError
	if !errors.As(err, &artifact) {
		return err
	}
	switch artifact.Message {
	case textCreateDir:
		return artifactError(textCreateManifest, artifact.Cause)
	case textWrite:
		return artifactError(textWriteManifest, artifact.Cause)
	default:
		return err
	}
}

// TooLargeError says that a file is over the limit of bytes. Actual is its size, or, of a file whose size is not known
// beforehand, how much of it was read.
type TooLargeError struct {
	Path        string
	Actual, Max uint64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("artifact too large: %s (%d > %d)", e.Path, e.Actual, e.Max)
}

// ManifestError says that a manifest cannot be read as one. Its text is the contract's, without detail; the cause has it.
type ManifestError struct{ Cause error }

func (e *ManifestError) Error() string { return "invalid manifest" }

// Unwrap returns the cause.
func (e *ManifestError) Unwrap() error { return e.Cause }
