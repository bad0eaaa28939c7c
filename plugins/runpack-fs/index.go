package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

const (
	// indexName is the file of a bundle's directory that describes it; the bundle's own files are in filesName, where
	// none of them can take its place.
	indexName = "bundle.json"
	filesName = "files"
	// maxIndex is the size in bytes of the largest index: one must fit a message of List, and a damaged one must not fill
	// the memory.
	maxIndex = 32 << 20
	// indexFormat is raised when older versions of the plugin could not read what this one writes.
	indexFormat = 1
)

// index is bundle.json: what a bundle is of and what it holds.
type index struct {
	Format int `json:"format"`
	content
	// Tags are not part of the content: they do not make another bundle of the same bytes.
	Tags map[string]string `json:"tags"`
}

// content is what makes two bundles the same. Its hash is the name of the bundle's directory.
type content struct {
	// Tenant and Namespace are text: many JSON readers round numbers above 2^53.
	Tenant         uint64      `json:"tenant,string"`
	Namespace      uint64      `json:"namespace,string"`
	Scenario       string      `json:"scenario"`
	Run            string      `json:"run"`
	SpecSHA256     string      `json:"spec_sha256"`
	ManifestPath   string      `json:"manifest_path"`
	ManifestSHA256 string      `json:"manifest_sha256"`
	Files          []indexFile `json:"files"`
}

type indexFile struct {
	Path   string `json:"path"`
	Size   uint64 `json:"size,string"`
	SHA256 string `json:"sha256"`
}

// hash is the same for the same files in any order of writing.
func (c content) hash() string {
	c.Files = slices.SortedFunc(slices.Values(c.Files), func(a, b indexFile) int { return strings.Compare(a.Path, b.Path) })
	b, _ := json.Marshal(c) // Strings and integers always marshal.
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (c content) key() runpack.Key {
	return runpack.Key{Tenant: c.Tenant, Namespace: c.Namespace, Scenario: c.Scenario, Run: c.Run, SpecSHA256: c.SpecSHA256}
}

func (c content) uri() string { return uriPrefix + keyPath(c.key()) + "/" + c.hash() }

// errDamaged is the cause of every CORRUPT answer about an index.
var errDamaged = errors.New("the index is not the one that was written")

// readIndex reads and checks the index of the bundle whose open directory is d. That its content has the hash which is
// the directory's name finds bit rot, and a bundle that was moved or edited by hand.
func readIndex(d dir, uri string) (index, error) {
	f, size, err := d.open(indexName)
	switch {
	case errors.Is(err, fs.ErrNotExist), isTampered(err):
		return index{}, fault.Wrap(fault.Corrupt, err, "bundle %s has no readable %s", uri, indexName)
	case err != nil:
		return index{}, diskFault(err, "read the index of bundle "+uri)
	}
	defer f.Close()
	if size > maxIndex {
		return index{}, fault.Wrap(fault.Corrupt, errDamaged, "%s of bundle %s is larger than %d bytes", indexName, uri, maxIndex)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return index{}, diskFault(err, "read the index of bundle "+uri)
	}
	var x index
	if err := json.Unmarshal(b, &x); err != nil {
		return index{}, fault.Wrap(fault.Corrupt, err, "%s of bundle %s is damaged", indexName, uri)
	}
	if x.Format > indexFormat {
		return index{}, fault.New(fault.Unimplemented, "bundle %s was written by a newer runpack-fs: upgrade this plugin", uri)
	}
	if x.uri() != uri {
		return index{}, fault.Wrap(fault.Corrupt, errDamaged, "%s of bundle %s describes other content", indexName, uri)
	}
	return x, nil
}

// bundle is the index as the host sees it. Its hashes are hex: uri, which covers them, was checked.
func (x index) bundle() (runpack.Bundle, error) {
	b := runpack.Bundle{URI: x.uri(), Key: x.key(), Tags: x.Tags, ManifestPath: x.ManifestPath}
	if !decodeSum(b.ManifestSHA256[:], x.ManifestSHA256) {
		return b, fault.Wrap(fault.Corrupt, errDamaged, "bundle %s has a malformed hash", b.URI)
	}
	b.Files = make([]runpack.File, len(x.Files))
	for i, f := range x.Files {
		b.Files[i] = runpack.File{Path: f.Path, Size: f.Size}
		if !decodeSum(b.Files[i].SHA256[:], f.SHA256) {
			return b, fault.Wrap(fault.Corrupt, errDamaged, "bundle %s has a malformed hash", b.URI)
		}
	}
	return b, nil
}

func decodeSum(dst []byte, s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && copy(dst, b) == len(dst) && len(b) == len(dst)
}
