package guide

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// options are the defaults of the configuration.
func options(change func(*Options)) Options {
	o := Options{Own: true, MaxDocBytes: 1 << 18, MaxTotalBytes: 1 << 20, MaxDocs: 32, MaxSections: 10, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	return o
}

func open(t testing.TB, change func(*Options)) *Catalogue {
	t.Helper()
	c, err := New(options(change))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPagesAreCopies compares the pages of this package with those in docs/.
func TestPagesAreCopies(t *testing.T) {
	copies, err := filepath.Glob("pages/*.md")
	if err != nil || len(copies) == 0 {
		t.Fatal("there are no pages", err)
	}
	for _, path := range copies {
		copied, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.Join("..", "..", "..", "docs", filepath.Base(path))
		if source, err := os.ReadFile(page); err != nil || !bytes.Equal(copied, source) {
			t.Errorf(`%s is not docs/%s (%v): run "go generate ./host/internal/guide" and commit the result`, path, filepath.Base(path), err)
		}
	}
}

// TestOwn checks the documents of the host: the addresses that clients know, each with a text of its own.
func TestOwn(t *testing.T) {
	addresses := []string{
		"evidence-flow", "security", "tooling", "authoring", "conditions", "ret-logic", "llm-playbook", "providers", "provider-protocol",
		"provider-schema", "provider-development", "json-evidence", "runpack-architecture",
	}
	c := open(t, nil)
	seen := map[string]bool{}
	for i, d := range c.Documents() {
		if i >= len(addresses) || d.URI != "decision-gate://docs/"+addresses[i] {
			t.Fatalf("document %d is %s", i, d.URI)
		}
		if found, ok := c.Document(d.URI); !ok || found != d {
			t.Errorf("%s is not found by its address", d.URI)
		}
		if seen[d.ID] || seen[d.Text] || !strings.HasPrefix(d.Text, "# "+d.Title+"\n") || len(d.Text) < 400 || d.Description == "" {
			t.Errorf("%s: %q", d.ID, d.Text)
		}
		// A fence that is not closed would hide the rest of the document.
		if strings.Count(d.Text, "\n```")%2 != 0 {
			t.Errorf("%s cuts a block of code in two", d.ID)
		}
		seen[d.ID], seen[d.Text] = true, true
	}
	if len(c.Documents()) != len(addresses) {
		t.Errorf("%d documents", len(c.Documents()))
	}
}

// TestOwnNamesNothingOfTheMachine keeps to docs what it says to operators.
func TestOwnNamesNothingOfTheMachine(t *testing.T) {
	for _, d := range open(t, nil).Documents() {
		for _, word := range []string{"/home/", "/root/", "TODO"} {
			if strings.Contains(d.Text, word) {
				t.Errorf("%s says %s", d.ID, word)
			}
		}
	}
}

// TestAnswers asks what clients want to know, and looks for the section that says it among the first three.
func TestAnswers(t *testing.T) {
	c := open(t, nil)
	for query, heading := range map[string]string{
		"why does my gate hold unknown":        "llm_native_playbook/When a gate holds",
		"comparators in_set contains":          "condition_authoring/Comparators",
		"jsonpath filter yaml":                 "json_evidence_playbook/JSON Evidence Playbook",
		"trust lanes asserted verified":        "evidence_flow_and_execution_model/Trust lanes",
		"RequireGroup requirement tree":        "ret_logic/Requirement Evaluation Trees (RET)",
		"which tool to start":                  "tooling_summary/Decision Gate MCP Tools",
		"error code retryable":                 "tooling_summary/Errors",
		"export runpack":                       "runpack_architecture/Export",
		"comparator_not_allowed check_missing": "provider_schema_authoring/Provider Schema Authoring Guide",
	} {
		found := c.Search(query, nil)
		if !slices.Contains(headings(found), heading) {
			t.Errorf("%q: %q is not among %q", query, heading, headings(found))
		}
	}
}

func headings(f Found) (all []string) {
	for _, s := range f.Sections {
		all = append(all, fmt.Sprintf("%s/%s", s.DocID, s.Heading))
	}
	return all
}

// write makes a folder of files.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestExtra reads a folder: sorted, numbered where ids meet, and without what is no document.
func TestExtra(t *testing.T) {
	dir := write(t, map[string]string{
		"a.md": "\n# Alpha Title \n\nintro\n\n## One\nfirst\n\n### Two\nsecond\n", "B é.MD": "no title\n", "sub/a.md": "# Second A\n", "sub/x/a.md": "# Third\n",
		"a_2.md": "# Is a_2 by name\n", "notes.txt": "# Not Markdown", "empty.md": " \n", "bytes.md": "# \xff", "large.md": "# L\n" + strings.Repeat("é", 1000),
		".hidden/a.md": "# Hidden", ".a.md": "# Hidden too",
	})
	secret := filepath.Join(write(t, map[string]string{"secret.md": "# Secret"}), "secret.md")
	for link, target := range map[string]string{"out.md": secret, "in.md": "a.md", "loop.md": "loop.md"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	// Opening it would wait for ever.
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.md"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := open(t, func(o *Options) {
		o.Own, o.Extra, o.MaxDocBytes, o.Logger = false, []string{dir}, 500, slog.New(slog.NewTextHandler(&log, nil))
	})
	var got []string
	for _, d := range c.Documents() {
		got = append(got, strings.TrimPrefix(d.URI, Prefix)+"|"+d.Title+"|"+d.Description)
		if d.Role != Pattern || strings.Contains(d.Description, dir) {
			t.Errorf("%+v", d)
		}
	}
	want := []string{
		"custom/b__|B é|User-provided document from B é.MD", "custom/a|Alpha Title|User-provided document from a.md",
		"custom/a_2|Is a_2 by name|User-provided document from a_2.md", "custom/in|Alpha Title|User-provided document from in.md",
		"custom/a_3|Second A|User-provided document from sub/a.md", "custom/a_4|Third|User-provided document from sub/x/a.md",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, left := range []string{"bytes.md", "empty.md", "large.md", "loop.md", "out.md", "pipe.md"} {
		if !strings.Contains(log.String(), "file="+left) {
			t.Errorf("nothing is said of %s: %s", left, log.String())
		}
	}
	if !strings.Contains(log.String(), `file=large.md reason="docs.max_doc_bytes has no room for it"`) {
		t.Error(log.String()) // not that it is cut in the middle of a character
	}
	if strings.Contains(log.String(), dir) || strings.Count(log.String(), "\n") != 6 {
		t.Error(log.String())
	}
	found := c.Search("second", nil)
	if first := found.Sections[0]; first.Heading != "Second A" || found.Sections[1].Content != "second" {
		t.Errorf("%+v", found.Sections)
	}
}

// TestBounds leaves out documents of an operator that break a bound, and refuses to start without room for those of the host.
func TestBounds(t *testing.T) {
	dir := write(t, map[string]string{"a.md": "aaaa", "b.md": "bbbbbbbb", "c.md": "cccc", "d.md": "dd"})
	for _, test := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"one too large", func(o *Options) { o.MaxDocBytes = 7 }, "a c d"},
		{"together", func(o *Options) { o.MaxTotalBytes = 8 }, "a c"},
		{"number", func(o *Options) { o.MaxDocs = 3 }, "a b c"},
	} {
		c := open(t, func(o *Options) { o.Own, o.Extra = false, []string{dir}; test.change(o) })
		var ids []string
		for _, d := range c.Documents() {
			ids = append(ids, d.ID)
		}
		if got := strings.Join(ids, " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	for option, change := range map[string]func(*Options){
		"max_doc_bytes":   func(o *Options) { o.MaxDocBytes = 100 },
		"max_total_bytes": func(o *Options) { o.MaxTotalBytes = 5000 },
		"max_docs":        func(o *Options) { o.MaxDocs = 12 },
	} {
		var wrong *OptionError
		if _, err := New(options(change)); !errors.As(err, &wrong) || wrong.Option != option {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// TestMissing refuses a path that is not there, and a folder that nobody can have meant.
func TestMissing(t *testing.T) {
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprintf("%d.txt", i)] = ""
	}
	dir := write(t, many)
	var wrong *OptionError
	if _, err := New(options(func(o *Options) { o.Extra = []string{filepath.Join(dir, "none")} })); !errors.As(err, &wrong) || wrong.Text != "no such file or directory" {
		t.Error(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for limit, want := range map[int]string{12: "", 11: "there are more than 11 files in it; name a smaller folder"} {
		if _, err := markdown(root.FS(), limit); fmt.Sprint(err) != want && !(err == nil && want == "") {
			t.Errorf("%d: %v", limit, err)
		}
	}
}

// TestRanking is the order of mcp contract §4.20: headings before texts, then the role that the query hints at, then the place
// of the document, then the heading.
func TestRanking(t *testing.T) {
	c := &Catalogue{byURI: map[string]*Document{}, maxSections: 10}
	for _, d := range []*Document{
		{ID: "r", Title: "r", Role: Reasoning, Text: "word\n## Word\n"},
		{ID: "d", Title: "d", Role: Decision, Text: "word\n## b word\n## a word\nword\n"},
		{ID: "o", Title: "o", Role: Ontology, Text: "word\n"},
	} {
		d.sections = split(d)
		c.add(d)
	}
	all := uint64(10)
	for query, want := range map[string]string{
		"word":             "d/a word r/Word d/b word r/r d/d o/o",
		"WORD runpack":     "d/a word d/b word r/Word d/d r/r o/o",
		"word schema":      "d/a word r/Word d/b word o/o r/r d/d",
		"word why runpack": "r/Word d/a word d/b word r/r d/d o/o",
		"none":             "",
	} {
		found := c.Search(query, &all)
		if got := strings.Join(headings(found), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if overview := c.Search(" \n", nil); strings.Join(headings(overview), " ") != "r/r d/d o/o" || !slices.Equal(overview.Followups, []string{refine}) {
		t.Errorf("%+v", overview)
	}
	one := uint64(1)
	if next := c.Search("word", &one).Followups; len(next) != 3 || next[0] != followups[1].text {
		t.Errorf("%q", next)
	}
}

// TestManyTerms counts the first words of a query only: each is looked for in everything.
func TestManyTerms(t *testing.T) {
	c := open(t, nil)
	if found := c.Search(strings.Repeat("zzzz ", maxTerms)+"gate", nil); len(found.Sections) != 0 {
		t.Error(headings(found))
	}
	if found := c.Search(strings.Repeat("zzzz ", maxTerms-1)+"gate", nil); len(found.Sections) != 3 {
		t.Error(headings(found))
	}
}

// TestSearchProperties asks anything: no more sections than wanted, in their order, of documents that are there, the same again.
func TestSearchProperties(t *testing.T) {
	c := open(t, nil)
	words := rapid.SampledFrom([]string{"trust", "Schema", "which tool", "gate", "why", "\x00", "É", "zzzz", "## ", "`1`"})
	rapid.Check(t, func(t *rapid.T) {
		query := strings.Join(rapid.SliceOfN(words, 0, 6).Draw(t, "words"), " ") + rapid.String().Draw(t, "rest")
		limit := rapid.Uint64().Draw(t, "limit")
		found := c.Search(query, &limit)
		if most := min(max(limit, 1), 10); uint64(len(found.Sections)) > most {
			t.Fatalf("%d sections of %d", len(found.Sections), most)
		}
		for i, s := range found.Sections {
			if s.Rank != uint64(i) || !slices.ContainsFunc(found.Covered, func(d Covered) bool { return d.DocID == s.DocID && d.Role == s.Role }) {
				t.Fatalf("%+v", found)
			}
		}
		if again := c.Search(query, &limit); !reflect.DeepEqual(found, again) {
			t.Fatal("another answer to the same query")
		}
	})
}
