package config

import (
	"errors"

	"github.com/hashicorp/hcl/v2"
)

// origin is where the values of a configuration were written; empty for one that was built in Go.
type origin struct {
	places map[any]place
	files  sources
}

func (o origin) refuse(at hcl.Range, summary, format string, args ...any) error {
	return asError(hcl.Diagnostics{problem(at, summary, format, args...)}, o.files)
}

// Refuse is an *Error about a value of the configuration that turned out wrong when it was used: field points to it, or is
// a pointer to a block. It has the line of the value where there is one.
func (c *Config) Refuse(field any, summary, format string, args ...any) error {
	return c.origin.refuse(c.origin.places[field].at, summary, format, args...)
}

// Shown is a value as a diagnostic may name it: not when it came from env() or file(). Field points to it or to the list
// that it is in.
func (c *Config) Shown(field any, value string) string {
	return shown(value, c.origin.places[field].hidden)
}

// Refuse is that of the configuration, for a field of the plugin or the plugin itself.
func (p *Plugin) Refuse(field any, summary, format string, args ...any) error {
	o := p.Config.origin
	return o.refuse(o.places[field].at, summary, format, args...)
}

// Join is errors.Join, except that all findings become one *Error, which tells them one after another.
func Join(errs ...error) error {
	all := &Error{}
	var others []error
	for _, err := range errs {
		if findings, ok := err.(*Error); ok {
			all.Diagnostics = append(all.Diagnostics, findings.Diagnostics...)
		} else if err != nil {
			others = append(others, err)
		}
	}
	switch {
	case len(all.Diagnostics) == 0:
		return errors.Join(others...)
	case len(others) == 0:
		return all
	default:
		return errors.Join(append([]error{all}, others...)...)
	}
}
