package kits

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// junit is the part of the JUnit format that continuous integration reads.
type junit struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes a report as JUnit XML.
func WriteJUnit(w io.Writer, r *Report) error {
	suite := junit{Name: r.Kind + " plugin " + r.Plugin + " " + r.Version, Tests: len(r.Checks), Failures: r.Failed, Time: seconds(r.Seconds)}
	for _, c := range r.Checks {
		one := junitCase{Name: c.Name, Class: r.Kind + "." + r.Plugin, Time: seconds(c.Seconds)}
		if !c.Passed {
			one.Failure = &junitFailure{Message: c.Proves, Text: strings.Join(c.Messages, "\n")}
		}
		suite.Cases = append(suite.Cases, one)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{"seconds": seconds}).Parse(page))

// WriteHTML writes a report as one page that needs no other file. What a plugin has said is text there, whatever it is.
func WriteHTML(w io.Writer, r *Report) error { return pageTemplate.Execute(w, r) }
