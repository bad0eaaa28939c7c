package opensource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

const (
	// maxFileBytes is the size of the largest file that the open-source Decision Gate reads (mcp contract §9.1).
	maxFileBytes = 1 << 20
	// maxNesting is how deep a file may nest. No option lies deeper than eight tables; without a bound a file of a
	// million brackets would exhaust the stack, and a key of a million dots the memory.
	maxNesting = 32
	// maxTOMLKeys is how many keys and tables a TOML file may have, by the marks that each needs: its parser compares each with
	// those before, and takes minutes for a hundred thousand.
	maxTOMLKeys = 20_000
)

// document is the text of a configuration as values, with the line of each.
type document struct {
	root map[string]any
	// lines holds the line, from 1, of each key, by its path: "server.bind", "providers[0].name". Items of lists of
	// plain values have none of their own.
	lines map[string]int
}

// line is where a path was written, or the nearest table around it.
func (d *document) line(at string) int {
	for ; at != ""; at = parent(at) {
		if line, ok := d.lines[at]; ok {
			return line
		}
	}
	return 1
}

// parent is the path of the table or list that holds a path, "" for the file.
func parent(at string) string {
	if i := strings.LastIndexAny(at, ".["); i >= 0 {
		return at[:i]
	}
	return ""
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

func item(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

// syntaxError is a text that is neither TOML nor JSON. It shows nothing of the text, which may hold tokens.
type syntaxError struct {
	line    int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// read parses a file: JSON when its name ends in .json, TOML when it ends in .toml, and otherwise JSON when it begins with
// a brace, as no TOML does.
func read(name string, src []byte) (*document, error) {
	if len(src) > maxFileBytes {
		return nil, &syntaxError{1, fmt.Sprintf("the file is larger than %d bytes, which the open-source server refuses too", maxFileBytes)}
	}
	if !utf8.Valid(src) {
		return nil, &syntaxError{lineOfInvalid(src), "the file is not UTF-8: save it as UTF-8"}
	}
	switch path.Ext(strings.ToLower(name)) {
	case ".json":
		return readJSON(src)
	case ".toml":
		return readTOML(src)
	}
	if bytes.HasPrefix(bytes.TrimSpace(src), []byte("{")) {
		return readJSON(src)
	}
	return readTOML(src)
}

func lineOfInvalid(src []byte) int {
	valid := 0
	for valid < len(src) {
		r, size := utf8.DecodeRune(src[valid:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		valid += size
	}
	return newLines(src).at(valid)
}

// newlines are the offsets of the line ends of a text, by which an offset finds its line without reading the text again.
type newlines []int

func newLines(src []byte) newlines {
	var n newlines
	for i, c := range src {
		if c == '\n' {
			n = append(n, i)
		}
	}
	return n
}

func (n newlines) at(offset int) int { return sort.SearchInts(n, offset) + 1 }

func readTOML(src []byte) (*document, error) {
	if bytes.Count(src, []byte{'='})+bytes.Count(src, []byte{'['}) > maxTOMLKeys {
		return nil, &syntaxError{1, fmt.Sprintf("the file has more than %d keys: write it as JSON", maxTOMLKeys)}
	}
	d := &document{root: map[string]any{}, lines: map[string]int{}}
	if err := toml.Unmarshal(src, &d.root); err != nil {
		wrong := &syntaxError{1, "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			wrong.line, _ = at.Position()
		}
		return nil, wrong
	}
	w := &tomlLines{lines: d.lines, starts: newLines(src), items: map[string]int{}}
	w.parser.Reset(src)
	w.walk()
	return d, nil
}

// tomlLines finds the line of each key. The text was decoded before: what is wrong with it is known.
type tomlLines struct {
	parser unstable.Parser
	lines  map[string]int
	starts newlines
	// items is how many tables an array of tables has so far.
	items map[string]int
}

func (w *tomlLines) walk() {
	table, ok := "", true
	for w.parser.NextExpression() {
		switch e := w.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, ok = w.key("", e.Key())
			if ok && e.Kind == unstable.ArrayTable {
				list := table
				table = item(list, w.items[list])
				w.items[list]++
				for parts := e.Key(); parts.Next(); {
					w.lines[table] = w.starts.at(int(parts.Node().Raw.Offset))
				}
			}
		case unstable.KeyValue:
			if ok {
				w.keyValue(table, e)
			}
		}
	}
}

// key notes the parts of a key below a table, and returns where it leads; false when it is deeper than any option.
func (w *tomlLines) key(at string, parts unstable.Iterator) (string, bool) {
	for parts.Next() {
		at = join(at, string(parts.Node().Data))
		if strings.Count(at, ".") > maxNesting || len(at) > maxFileBytes/maxNesting {
			return "", false
		}
		if _, noted := w.lines[at]; !noted {
			w.lines[at] = w.starts.at(int(parts.Node().Raw.Offset))
		}
		if n := w.items[at]; n > 0 && !parts.IsLast() {
			at = item(at, n-1)
		}
	}
	return at, true
}

func (w *tomlLines) keyValue(table string, e *unstable.Node) {
	if at, ok := w.key(table, e.Key()); ok {
		w.value(at, e.Value())
	}
}

func (w *tomlLines) value(at string, v *unstable.Node) {
	if strings.Count(at, ".")+strings.Count(at, "[") > maxNesting {
		return
	}
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			w.keyValue(at, children.Node())
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			w.value(item(at, i), children.Node())
		}
	}
}

func readJSON(src []byte) (*document, error) {
	d := &document{lines: map[string]int{}}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(src)), starts: newLines(src), lines: d.lines}
	r.dec.UseNumber()
	v, err := r.value("", 0)
	if err == nil {
		if _, err = r.dec.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.New("there is more after the object")
		}
	}
	root, isTable := v.(map[string]any)
	if err == nil && !isTable {
		err = errors.New("the file must hold one object")
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, &syntaxError{r.line(), "not JSON: " + err.Error()}
	}
	d.root = root
	return d, nil
}

// jsonReader reads JSON to what a TOML file of the same meaning gives: whole numbers are int64, and what is null is absent.
type jsonReader struct {
	dec    *json.Decoder
	starts newlines
	lines  map[string]int
}

func (r *jsonReader) line() int { return r.starts.at(int(r.dec.InputOffset())) }

func (r *jsonReader) value(at string, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested more than %d deep, which no option is", maxNesting)
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(at, depth)
		}
		return r.array(at, depth)
	case json.Number:
		if n, err := strconv.ParseInt(t.String(), 10, 64); err == nil {
			return n, nil
		}
		// A fraction, or beyond 64 bits: no option takes it.
		return 0.5, nil
	default:
		return t, nil
	}
}

func (r *jsonReader) object(at string, depth int) (any, error) {
	object := map[string]any{}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string) // Token refuses any other
		inner := join(at, key)
		// Two of a name: whoever wrote the file saw one, and another reader takes the other.
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("the key %q is there twice", clip(key))
		}
		if len(inner) <= maxFileBytes/maxNesting {
			r.lines[inner] = r.line()
		}
		v, err := r.value(inner, depth+1)
		if err != nil {
			return nil, err
		}
		object[key] = v
	}
	_, err := r.dec.Token()
	for key, v := range object {
		if v == nil {
			delete(object, key)
		}
	}
	return object, err
}

func (r *jsonReader) array(at string, depth int) (any, error) {
	array := []any{}
	for r.dec.More() {
		v, err := r.value(item(at, len(array)), depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	_, err := r.dec.Token()
	return array, err
}
