// Package persist is how the host writes its records to a store and reads them back, the same for runs and definitions.
package persist

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// NewCommitID makes an id that is unique and ordered by time, as stores index best: milliseconds, then random bytes.
func NewCommitID() (id [16]byte) {
	var now [8]byte
	binary.BigEndian.PutUint64(now[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], now[2:])
	_, _ = rand.Read(id[6:]) // never fails
	return id
}

// Decode reads a stored body. One that cannot be read is corrupt, not the caller's fault: the cause is told as text, since
// as an error it could be taken for one about the caller's own input.
func Decode(record store.Record, target any) error {
	v, err := canonical.ParseRecord(record.Body)
	if err == nil {
		err = canonical.Decode(v, target)
	}
	if err != nil {
		return fault.New(fault.Corrupt, "stored %s record cannot be read: %v", record.Key.Collection, err)
	}
	return nil
}
