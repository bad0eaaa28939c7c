package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/jsonpath"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/yaml"
)

// maxResult bounds the answer of the json provider in bytes, roughly as JSON: matches may contain one another, and aliases
// repeat, so that a small file has answers that do not fit into memory. What is larger than gate.MaxEvidence ends the call
// there; this is far above it, so that the smaller bound stays the one that callers know.
const maxResult = 16 << 20

// JSONOptions configure the json provider.
type JSONOptions struct {
	// Root is the directory beneath which files are read.
	Root string
	// RootID names it in anchors: 1 to 64 of a-z, 0-9, dash and underscore.
	RootID string
	// MaxBytes is the size of the largest file.
	MaxBytes int64
	// AllowYAML reads files ending in .yaml and .yml as YAML.
	AllowYAML bool
}

// fileProvider reads JSON and YAML files (contract §10.3).
type fileProvider struct {
	JSONOptions
	dir *rootDir
}

var rootID = regexp.MustCompile(`^[a-z0-9_-]+$`)

// maxRootID is the length of the longest root id.
const maxRootID = 64

func newFileProvider(options JSONOptions) (*fileProvider, error) {
	switch {
	case options.Root == "":
		return nil, errors.New("json provider requires config.root")
	case options.RootID == "":
		return nil, errors.New("json provider requires config.root_id")
	case len(options.RootID) > maxRootID:
		return nil, errors.New("json provider root_id exceeds 64 characters")
	case !rootID.MatchString(options.RootID):
		return nil, errors.New("json provider root_id must be lowercase ascii, digits, '-' or '_'")
	}
	dir, err := openRoot(options.Root)
	switch {
	case errors.Is(err, errNoDirectory):
		return nil, errors.New("json provider root is not a directory")
	case isMissing(err):
		return nil, errors.New("json provider root does not exist")
	case err != nil:
		return nil, fmt.Errorf("json provider root cannot be opened: %w", err)
	}
	return &fileProvider{options, dir}, nil
}

// Close gives the root back.
func (p *fileProvider) Close() error { return p.dir.close() }

var errJSONCheck = errors.New("unsupported json check")

func (p *fileProvider) Query(ctx context.Context, q gate.EvidenceQuery, _ gate.EvidenceContext) (gate.EvidenceResult, error) {
	if q.CheckID != "path" {
		return gate.EvidenceResult{}, errJSONCheck
	}
	result := gate.EvidenceResult{Lane: gate.Verified}
	params, refusal := readFileParams(q.Params)
	rel := ""
	if refusal == nil {
		rel, refusal = p.locate(params.file)
	}
	if refusal == nil {
		p.anchor(&result, rel)
		var v canonical.Value
		var err error
		if v, refusal, err = p.read(ctx, rel, params); err != nil {
			return gate.EvidenceResult{}, err
		}
		if refusal == nil {
			contentType := "application/json"
			if isYAML(rel) {
				contentType = "application/yaml"
			}
			result.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
			result.ContentType = &contentType
		}
	}
	// A deadline is no fact about the file: it must not be recorded as one.
	if err := ctx.Err(); err != nil {
		return gate.EvidenceResult{}, err
	}
	result.Error = refusal
	return result, nil
}

// anchor says where the evidence lies: at the resolved path, whatever way the query took there.
func (p *fileProvider) anchor(result *gate.EvidenceResult, rel string) {
	where := canonical.NewObject([]canonical.Member{
		{Name: "path", Value: canonical.NewString(rel)},
		{Name: "root_id", Value: canonical.NewString(p.RootID)},
	})
	result.EvidenceRef = &gate.EvidenceRef{URI: "dg+file://" + p.RootID + "/" + rel}
	result.EvidenceAnchor = &gate.EvidenceAnchor{
		AnchorType:  "file_path_rooted",
		AnchorValue: string(canonical.AppendValue(nil, where, canonical.Canonical)),
	}
}

type fileParams struct {
	file string
	// path is nil for the whole document.
	path *string
}

func readFileParams(v *canonical.Value) (fileParams, *gate.EvidenceError) {
	switch {
	case v == nil || v.IsNull():
		return fileParams{}, refuse("params_missing", "json check requires params")
	case v.Kind() != canonical.Object:
		return fileParams{}, refuse("params_invalid", "json params must be an object")
	}
	file, ok := v.Member("file")
	if !ok {
		return fileParams{}, refuse("params_missing", "missing file param")
	}
	name, ok := file.Text()
	if !ok {
		return fileParams{}, refuse("params_invalid", "file param must be a string")
	}
	params := fileParams{file: name}
	if selection, ok := v.Member("jsonpath"); ok {
		expression, ok := selection.Text()
		if !ok {
			return fileParams{}, refuse("params_invalid", "jsonpath param must be a string")
		}
		params.path = &expression
	}
	return params, nil
}

// locate finds the file beneath the root.
func (p *fileProvider) locate(file string) (string, *gate.EvidenceError) {
	named := canonical.Member{Name: "file", Value: canonical.NewString(file)}
	switch {
	case file == "":
		return "", refuse("path_missing", "json file path is empty")
	case path.IsAbs(file) || filepath.IsAbs(file):
		return "", refuse("absolute_path_forbidden", "json file path must be relative to the configured root", named)
	}
	rel, err := p.dir.resolve(file)
	switch {
	case errors.Is(err, errOutside):
		return "", refuse("path_outside_root", "json file path escapes root", named)
	case errors.Is(err, errRootItself):
		return "", refuse("path_invalid", "json file path resolves to empty path")
	case err != nil:
		return "", refuse("file_not_found", "unable to resolve json file", named)
	case !utf8.ValidString(rel):
		return "", refuse("path_invalid", "json file path contains invalid components", named)
	}
	return rel, nil
}

// read reads the file, parses it and selects from it. The error is that there is no memory for it.
func (p *fileProvider) read(ctx context.Context, rel string, params fileParams) (canonical.Value, *gate.EvidenceError, error) {
	data, refusal, err := p.load(ctx, rel)
	if refusal != nil || err != nil {
		return canonical.Value{}, refusal, err
	}
	document, refusal := p.parse(rel, data)
	if refusal != nil {
		return canonical.Value{}, refusal, nil
	}
	v := document
	if params.path != nil {
		if v, refusal = selectFrom(ctx, &document, *params.path); refusal != nil {
			return canonical.Value{}, refusal, nil
		}
	}
	left := maxResult
	if exceeds(v, &left) {
		return canonical.Value{}, refuse("size_limit_exceeded", "json result exceeds size limit", fileMember(rel)), nil
	}
	return v, nil, nil
}

// load opens and reads a file.
func (p *fileProvider) load(ctx context.Context, rel string) ([]byte, *gate.EvidenceError, error) {
	file, err := p.dir.open(rel)
	switch {
	case errors.Is(err, errNotRegular):
		return nil, refuse("file_read_failed", "unable to read json file", fileMember(rel)), nil
	case isMissing(err):
		return nil, refuse("file_not_found", "unable to open json file", fileMember(rel)), nil
	case err != nil:
		return nil, refuse("file_open_failed", "unable to open json file", fileMember(rel)), nil
	}
	defer file.Close()
	return p.readWhole(ctx, file, rel)
}

// smallFile is the size in bytes of the largest file that is kept while the memory to parse it is waited for.
const smallFile = 64 << 10

// readWhole reads a file once there is the memory to parse it. A file that is not small is read twice: held while others are
// waited for, the files of many questions would take the memory that these wait for.
func (p *fileProvider) readWhole(ctx context.Context, file *os.File, rel string) ([]byte, *gate.EvidenceError, error) {
	unread := refuse("file_read_failed", "unable to read json file", fileMember(rel))
	meter := budget.JSON
	if isYAML(rel) {
		meter = budget.YAML
	}
	start, err := io.ReadAll(io.LimitReader(file, min(smallFile, p.MaxBytes)+1))
	if err != nil {
		return nil, unread, nil
	}
	need, size := meter(), int64(len(start))
	_, _ = need.Write(start)
	small := size <= smallFile
	if !small {
		start = nil
		more, err := io.Copy(need, io.LimitReader(file, p.MaxBytes+1-size))
		if err != nil {
			return nil, unread, nil
		}
		size += more
	}
	if size > p.MaxBytes {
		return nil, refuse("size_limit_exceeded", "json file exceeds size limit", fileMember(rel),
			canonical.Member{Name: "max_bytes", Value: canonical.NewInt(p.MaxBytes)},
			canonical.Member{Name: "actual_bytes", Value: canonical.NewInt(p.MaxBytes + 1)}), nil
	}
	if err := budget.Reserve(ctx, need.Bytes()); err != nil || small {
		return start, nil, err
	}
	data := make([]byte, size)
	if _, err := file.ReadAt(data, 0); err != nil || meter().Of(data) > need.Bytes() {
		return nil, unread, nil // it is another one than a moment ago
	}
	return data, nil, nil
}

func isYAML(rel string) bool {
	name := path.Base(rel)
	extension := strings.ToLower(path.Ext(name))
	// A file called .yaml has a name and no extension.
	return (extension == ".yaml" || extension == ".yml") && len(extension) < len(name)
}

func (p *fileProvider) parse(rel string, data []byte) (canonical.Value, *gate.EvidenceError) {
	if !isYAML(rel) {
		v, err := canonical.Parse(data)
		if err != nil {
			return v, refuse("invalid_json", "invalid json", fileMember(rel))
		}
		return v, nil
	}
	if !p.AllowYAML {
		return canonical.Value{}, refuse("yaml_disabled", "yaml parsing is disabled", fileMember(rel))
	}
	v, err := yaml.Parse(data)
	if err != nil {
		return v, refuse("invalid_yaml", "invalid yaml", fileMember(rel))
	}
	return v, nil
}

// selectFrom applies a path: one match is the value, several are an array of them.
func selectFrom(ctx context.Context, document *canonical.Value, expression string) (canonical.Value, *gate.EvidenceError) {
	named := canonical.Member{Name: "jsonpath", Value: canonical.NewString(expression)}
	compiled, err := jsonpath.Compile(expression)
	if err != nil {
		return canonical.Value{}, refuse("invalid_jsonpath", "invalid jsonpath", named)
	}
	matches, err := compiled.Select(ctx, document)
	switch {
	case err != nil:
		return canonical.Value{}, refuse("size_limit_exceeded", "jsonpath result exceeds size limit", named)
	case len(matches) == 0:
		return canonical.Value{}, refuse("jsonpath_not_found", "jsonpath not found: "+expression, named)
	case len(matches) == 1:
		return *matches[0], nil
	}
	items := make([]canonical.Value, len(matches))
	for i, match := range matches {
		items[i] = *match
	}
	return canonical.NewArray(items), nil
}

// exceeds reports whether a value is larger than what is left, without writing it.
func exceeds(v canonical.Value, left *int) bool {
	text, _ := v.Text()
	if *left -= len(text) + 1; *left < 0 {
		return true
	}
	for _, item := range v.Items() {
		if exceeds(item, left) {
			return true
		}
	}
	for _, m := range v.Members() {
		*left -= len(m.Name) + 1
		if exceeds(m.Value, left) {
			return true
		}
	}
	return false
}

func fileMember(rel string) canonical.Member {
	return canonical.Member{Name: "file", Value: canonical.NewString(rel)}
}

// refuse is an error inside a result, with details about what it is about.
func refuse(code, message string, details ...canonical.Member) *gate.EvidenceError {
	e := &gate.EvidenceError{Code: code, Message: message}
	if details != nil {
		v := canonical.NewObject(details)
		e.Details = &v
	}
	return e
}
