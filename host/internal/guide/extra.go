package guide

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxWalked is how many files and folders are looked at below one path: one that names the root of a disk by mistake would
// have the start of the host read all of it.
const maxWalked = 10_000

// addExtra adds the documents of an operator.
func (c *Catalogue) addExtra(o *Options) error {
	for _, name := range o.Extra {
		if err := c.addPath(o, name); err != nil {
			var failed *fs.PathError
			if errors.As(err, &failed) {
				err = failed.Err
			}
			return &OptionError{"extra_paths", name, err.Error()}
		}
	}
	return nil
}

func (c *Catalogue) addPath(o *Options, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	dir, files := name, []string(nil)
	if !info.IsDir() {
		dir, files = filepath.Dir(name), []string{filepath.Base(name)}
	}
	// A link that leads out of the folder is not followed: whoever may write to it could show clients any file of the machine.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if files == nil {
		if files, err = markdown(root.FS(), maxWalked); err != nil {
			return err
		}
	}
	for _, file := range files {
		d, why := read(root, file, o.MaxDocBytes)
		if why == "" {
			if full := c.full(d, o); full != "" {
				why = "docs." + full + " has no room for it"
			}
		}
		if why != "" {
			o.Logger.Warn("a document is left out", "file", file, "reason", why)
			continue
		}
		c.addNumbered(d)
	}
	return nil
}

// markdown finds the Markdown files of a folder, at any depth, in the order of their names, which is the same on each machine.
// Hidden ones are not meant, such as those that a mounted volume keeps its versions in.
func markdown(folder fs.FS, limit int) (files []string, err error) {
	walked := 0
	err = fs.WalkDir(folder, ".", func(file string, entry fs.DirEntry, err error) error {
		walked++
		hidden := file != "." && strings.HasPrefix(path.Base(file), ".")
		switch {
		case err != nil:
			return err
		case walked > limit:
			return fmt.Errorf("there are more than %d files in it; name a smaller folder", limit)
		case hidden && entry.IsDir():
			return fs.SkipDir
		case !hidden && !entry.IsDir() && isMarkdown(file):
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

func isMarkdown(file string) bool { return strings.EqualFold(path.Ext(file), ".md") }

// read makes a document of a file, or says why not. Its description names the file below the folder of the configuration, not
// where that is on the machine.
func read(root *os.Root, file string, limit int64) (d *Document, why string) {
	// Before it is opened: opening a pipe would wait for a writer.
	if info, err := root.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil, "it is not a regular file of the folder"
	}
	f, err := root.Open(file)
	if err != nil {
		return nil, "it cannot be opened"
	}
	defer f.Close()
	// One byte more than there is room for shows that the file is too large.
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	text := string(content)
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	stem := strings.TrimSuffix(path.Base(file), path.Ext(file))
	title, titled := strings.CutPrefix(first, "# ")
	switch {
	case !isMarkdown(file):
		return nil, "its name does not end with .md"
	case err != nil:
		return nil, "it cannot be read"
	case int64(len(text)) <= limit && !utf8.ValidString(text):
		return nil, "it is not UTF-8"
	case first == "":
		return nil, "it is empty"
	case !titled:
		title = stem
	}
	d = &Document{ID: identifier(stem), Title: strings.TrimSpace(title), Role: Pattern, Description: "User-provided document from " + file, Text: text}
	d.sections = split(d)
	return d, ""
}

// identifier is the id of a document by the name of its file.
func identifier(stem string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(stem))
}

// addNumbered adds a document under its id, or the first of ID_2, ID_3, … that is free.
func (c *Catalogue) addNumbered(d *Document) {
	const custom = Prefix + "custom/"
	id := d.ID
	for n := 2; c.byURI[custom+d.ID] != nil; n++ {
		d.ID = fmt.Sprintf("%s_%d", id, n)
	}
	d.URI = custom + d.ID
	c.add(d)
}
