package opensource

// The stream is lines of JSON, which package database of the host reads: first a beginLine, then an itemLine for each run and data
// shape in the order of their keys, then one with End, or with Error in its place or anywhere before.
const (
	streamFormat  = "decision-gate-database"
	streamVersion = 1
)

type beginLine struct {
	Format        string `json:"format"`
	Version       int    `json:"version"`
	SchemaVersion int64  `json:"schema_version"`
	Runs          int64  `json:"runs"`
	Shapes        int64  `json:"data_shapes"`
}

type itemLine struct {
	Run   *run     `json:"run,omitempty"`
	Shape *shape   `json:"data_shape,omitempty"`
	End   *endLine `json:"end,omitempty"`
	Error string   `json:"error,omitempty"`
}

// run is the newest version of a run. State is in base64, so that it arrives byte for byte.
type run struct {
	TenantID    string `json:"tenant_id"`
	NamespaceID string `json:"namespace_id"`
	RunID       string `json:"run_id"`
	Version     int64  `json:"version"`
	SavedAt     int64  `json:"saved_at"`
	State       []byte `json:"state"`
	Hash        string `json:"state_hash"`
	Algorithm   string `json:"hash_algorithm"`
	// Problem says why there is no state.
	Problem string `json:"problem,omitempty"`
}

type shape struct {
	TenantID    string  `json:"tenant_id"`
	NamespaceID string  `json:"namespace_id"`
	SchemaID    string  `json:"schema_id"`
	Version     string  `json:"version"`
	Schema      []byte  `json:"schema"`
	Hash        string  `json:"schema_hash"`
	Algorithm   string  `json:"hash_algorithm"`
	Description *string `json:"description"`
	KeyID       *string `json:"signing_key_id"`
	Signature   *string `json:"signing_signature"`
	SigningWith *string `json:"signing_algorithm"`
	CreatedAt   string  `json:"created_at"`
	Problem     string  `json:"problem,omitempty"`
}

type endLine struct {
	Runs   int64 `json:"runs"`
	Shapes int64 `json:"data_shapes"`
}
