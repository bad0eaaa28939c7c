package gate

// TimeKind is the kind of a timestamp.
type TimeKind string

// The kinds of timestamps.
const (
	UnixMillis TimeKind = "unix_millis"
	Logical    TimeKind = "logical"
)

// Names returns the kinds that a document may name.
func (TimeKind) Names() []string { return []string{string(UnixMillis), string(Logical)} }

// Timestamp is a time that the caller gave: the engine reads no clock (contract §1.2).
type Timestamp struct {
	Kind TimeKind `member:"kind"`
	// Millis are milliseconds since 1970, of kind UnixMillis.
	Millis int64 `member:"value" variant:"unix_millis"`
	// Tick is a counter, of kind Logical.
	Tick uint64 `member:"value" variant:"logical"`
}
