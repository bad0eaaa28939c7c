package opensource

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// makedatabase is the program, built once.
var makedatabase string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "makedatabase-*")
	if err != nil {
		panic(err)
	}
	makedatabase = filepath.Join(dir, "makedatabase")
	out, err := exec.Command("go", "build", "-o", makedatabase, "./makedatabase").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// makeDatabase writes a database from lines, with words of makedatabase.
func makeDatabase(t *testing.T, lines string, words ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decision-gate.db")
	cmd := exec.Command(makedatabase, append([]string{path}, words...)...)
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func runOf(id string, version int64, state string) string {
	sum := sha256.Sum256([]byte(state))
	text, _ := json.Marshal(itemLine{Run: &run{
		TenantID: "1", NamespaceID: "2", RunID: id, Version: version, SavedAt: 5, State: []byte(state), Hash: hex.EncodeToString(sum[:]), Algorithm: "sha256",
	}})
	return string(text) + "\n"
}

func schema(version int) string { return fmt.Sprintf(`{"schema_version":%d}`+"\n", version) }

// read answers the lines after the first, and the error.
func read(t *testing.T, path string) ([]string, error) {
	t.Helper()
	var out bytes.Buffer
	err := WriteStream(t.Context(), path, &out)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if err != nil {
		want, _ := json.Marshal(itemLine{Error: err.Error()})
		if got := lines[len(lines)-1]; got != string(want) {
			t.Errorf("the stream ends with %s, the error is %v", got, err)
		}
		return nil, err
	}
	return lines[1:], nil
}

// contents are the files of a folder with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		all[file.Name()] = hex.EncodeToString(sum[:])
	}
	return all
}

// What a server wrote is read, also from the log of one that was killed, and no file is changed, made or removed: not even where
// the folder cannot be written.
func TestReads(t *testing.T) {
	shape := `{"data_shape":{"tenant_id":"1","namespace_id":"2","schema_id":"s","version":"1","schema":"e30=","schema_hash":"h","hash_algorithm":"sha256","description":"d"%s,"created_at":"{}"}}` + "\n"
	signed := fmt.Sprintf(shape, `,"signing_key_id":"k","signing_signature":"s","signing_algorithm":"ed25519"`)
	unsigned := fmt.Sprintf(shape, `,"signing_key_id":null,"signing_signature":null,"signing_algorithm":null`)
	for name, c := range map[string]struct {
		version int
		shape   string
		words   []string
	}{
		"version 4":                      {4, signed, nil},
		"version 3":                      {3, unsigned, nil},
		"write-ahead log, closed":        {4, signed, []string{"wal"}},
		"write-ahead log, server killed": {4, signed, []string{"wal", "open"}},
	} {
		t.Run(name, func(t *testing.T) {
			runs := runOf("a", 1, `{"a":1}`) + runOf("b", 3, `{"b":3}`)
			path := makeDatabase(t, schema(c.version)+runs+c.shape, c.words...)
			dir := filepath.Dir(path)
			if err := os.Chmod(dir, 0o500); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(dir, 0o700)
			before := contents(t, dir)
			got, err := read(t, path)
			if err != nil {
				t.Fatal(err)
			}
			want := runs + c.shape + `{"end":{"runs":2,"data_shapes":1}}`
			if strings.Join(got, "\n") != want {
				t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), want)
			}
			if after := contents(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the files were %v, and are %v", before, after)
			}
		})
	}
}

// A run that cannot be read costs no other.
func TestProblems(t *testing.T) {
	path := makeDatabase(t, schema(4)+`{"run":{"tenant_id":"1","namespace_id":"2","run_id":"a","version":7,"problem":"dangling"}}`+"\n"+
		runOf("b", 1, strings.Repeat("x", maxState+1))+runOf("c", 1, "{}"))
	got, err := read(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"missing run state version 7 for run a", "state_json exceeds size limit: 16777217 bytes (max 16777216)", `"state":"e30="`, `"runs":3`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("line %d is %s, want %q", i, got[i], want)
		}
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(dir, "other.db")
	execute(t, other, `CREATE TABLE t (x)`)
	unfinished := filepath.Join(dir, "unfinished.db")
	execute(t, unfinished, `CREATE TABLE store_meta (version INTEGER NOT NULL)`)
	damaged := makeDatabase(t, schema(4)+runOf("a", 1, strings.Repeat("x", 100_000)))
	damage(t, damaged)
	for want, path := range map[string]string{
		"there is no file":               filepath.Join(dir, "none"),
		"is no file":                     dir,
		"is empty":                       file("empty", ""),
		"is not an SQLite database":      file("text", strings.Repeat("not a database\n", 100)),
		"it has no table store_meta":     other,
		"has no schema version":          unfinished,
		"unsupported schema version: 2;": makeDatabase(t, schema(2)),
		"unsupported schema version: 5;": makeDatabase(t, schema(5)),
		"is damaged: restore a backup":   damaged,
	} {
		if _, err := read(t, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
		}
	}
}

func execute(t *testing.T, path, sql string) {
	t.Helper()
	db, err := sqlite3.Open("file:" + path)
	if err == nil {
		err = db.Exec(sql)
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// damage writes over the pages in the middle of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(content); i++ {
		content[i] = 0x55
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// While a server has the database open nothing is read: it could write in between.
func TestInUse(t *testing.T) {
	path := makeDatabase(t, schema(4)+runOf("a", 1, "{}"), "wal")
	server, err := sqlite3.Open("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.Exec(`SELECT count(*) FROM runs`); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, path); err == nil || !strings.Contains(err.Error(), "stop the server first") {
		t.Errorf("%v", err)
	}
}

// writeBetween writes to the database when the first line of the stream is taken.
type writeBetween struct {
	bytes.Buffer
	once  sync.Once
	write func()
}

func (w *writeBetween) Write(p []byte) (int, error) {
	w.once.Do(w.write)
	return w.Buffer.Write(p)
}

// A server that is started meanwhile is noticed in the end.
func TestWrittenMeanwhile(t *testing.T) {
	path := makeDatabase(t, schema(4)+runOf("a", 1, strings.Repeat("x", 100_000)), "wal", "open")
	out := &writeBetween{write: func() { execute(t, path, `UPDATE runs SET latest_version = 2`) }}
	if err := WriteStream(t.Context(), path, out); err == nil || !strings.Contains(err.Error(), "was written while it was read") {
		t.Errorf("%v\n%.300s", err, out.String())
	}
}
