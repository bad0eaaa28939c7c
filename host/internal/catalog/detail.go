package catalog

import (
	"time"
)

// Detail is everything that is known of a plugin. Unlike Status it holds lines that the plugin has written, so it is for the
// operator of the machine only.
type Detail struct {
	Status
	// Began is when the process that runs now began to serve; zero while there is none.
	Began time.Time `json:"began,omitzero"`
	// ResidentBytes is the memory of the process; 0 where the system does not tell.
	ResidentBytes uint64  `json:"resident_bytes,omitempty"`
	Calls         []Calls `json:"calls"`
	// Pinned says whether nothing but the pinned program may run.
	Pinned bool `json:"pinned"`
	// SignedBy is the key that has signed the program, Comment what its owner says of it; empty without a signature.
	SignedBy string `json:"signed_by,omitempty"`
	Comment  string `json:"comment,omitempty"`
	// Sandboxed says whether there is a sandbox, NotEnforced what this machine does not enforce of it.
	Sandboxed   bool     `json:"sandboxed"`
	NotEnforced []string `json:"not_enforced,omitempty"`
	// LastEnd is how the process before it ended, unless it was asked to.
	LastEnd *End `json:"last_end,omitempty"`
	// Log are the last lines that the process has written.
	Log []string `json:"log"`
}

// End is how a process ended that nobody asked to.
type End struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Log are its last lines.
	Log []string `json:"log"`
}

// Details are those of every plugin, in the order of the configuration.
func (c *Catalog) Details() []Detail {
	out := make([]Detail, len(c.plugins))
	for i, s := range c.plugins {
		out[i] = s.detail()
	}
	return out
}

// trust says what keeps a program from being another one, or from doing what it should not.
func (d *Detail) trust(p *program) {
	d.Pinned, d.Sandboxed = len(p.pin) > 0, p.sandbox != nil
	if signed := p.signed.Load(); signed != nil {
		d.SignedBy, d.Comment = signed.key, signed.comment
	}
	for _, s := range p.lacking {
		d.NotEnforced = append(d.NotEnforced, s.String())
	}
}

func (s *supervisor) detail() Detail {
	d := Detail{Status: s.status(), Calls: s.meter.calls(), Log: []string{}}
	d.trust(s.running())
	s.mu.Lock()
	session := s.session
	d.LastEnd = s.lastEnd
	if session != nil {
		d.Began = s.began
	}
	s.mu.Unlock()
	if session != nil {
		d.ResidentBytes, d.Log = residentBytes(d.PID), session.process.LastLog()
	}
	return d
}
