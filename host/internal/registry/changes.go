package registry

import "github.com/decision-gate-host/decision-gate-host/sdk/store"

// Collections are those of which something is kept.
func (r *Registry) Collections() []string { return []string{scenarioCollection, schemaCollection} }

// Changed drops what is kept of a record that was written or removed, on whatever host.
func (r *Registry) Changed(change store.Change) {
	of := recordOf(change.Key)
	switch change.Key.Collection {
	case scenarioCollection:
		r.scenarios.changed(of, change.Revision)
	case schemaCollection:
		r.shapes.changed(of, change.Revision)
	}
}

// Following says whether changes are told from now on. While they are not, nothing is kept: what was removed elsewhere would
// be used for ever. Whatever was kept may have changed in between.
func (r *Registry) Following(yes bool) {
	r.scenarios.forget(!yes)
	r.shapes.forget(!yes)
}
