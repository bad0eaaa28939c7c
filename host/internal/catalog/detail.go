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

func (s *supervisor) detail() Detail {
	d := Detail{Status: s.status(), Calls: s.meter.calls(), Log: []string{}}
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
