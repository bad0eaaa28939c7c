package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// adoptWait is how long Adopt waits for a lock. Nothing else should have the file open.
const adoptWait = time.Second

// Adopt gives the pages of a database their checksums again: programs other than this one write none, such as SQLite's own
// backup. Since nothing then says that a page is what was written, the whole file is checked first: that the tables and
// their indexes agree, and every record with its hash. It refuses a file that fails; no host may have it open.
func Adopt(ctx context.Context, path string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return refuseFile(path, err)
	}
	if sizeOf(path) == 0 {
		return fault.New(fault.Invalid, "path: there is no database in %q", path)
	}
	if err := checkLog(path); err != nil {
		return err
	}
	c, err := openConn(path, "", readWrite, adoptWait)
	if err != nil {
		return refuseFile(path, err)
	}
	defer func() { err = errors.Join(err, refuseClose(path, c.close())) }()
	// Only a file whose header was read has checksums to be turned off; reading it may fail of them.
	_, _ = c.number(`PRAGMA schema_version`)
	if err := c.exec(`PRAGMA checksum_verification=OFF; PRAGMA synchronous=FULL`); err != nil {
		return refuseFile(path, err)
	}
	if err := c.checkWhole(path); err != nil {
		return err
	}
	// Every page is written anew, into the log and from there into the file, which is where it gets its checksum.
	if err := errors.Join(c.exec(`VACUUM`), ctx.Err()); err != nil {
		return refuseFile(path, err)
	}
	if err := c.emptyLog(); err != nil {
		return refuseFile(path, err)
	}
	return nil
}

func refuseClose(path string, err error) error {
	if err == nil {
		return nil
	}
	return refuseFile(path, err)
}

// checkWhole reads the whole file.
func (c *conn) checkWhole(path string) error {
	if empty, err := inspect(c, path); err != nil || empty {
		return errors.Join(err, compareTables(c, path))
	}
	if err := compareTables(c, path); err != nil {
		return err
	}
	found, err := c.text(`PRAGMA integrity_check(1)`)
	if err != nil {
		return refuseFile(path, err)
	}
	if found != "ok" {
		return fault.New(fault.Corrupt, "path: %q is damaged: %s; restore a backup", path, found)
	}
	records, err := c.prepare(`SELECT revision, k, sha256, body FROM records WHERE sha256 IS NOT NULL`)
	if err != nil {
		return refuseFile(path, err)
	}
	err = records.each(func(r row) (bool, error) {
		_, err := record(r)
		return true, err
	})
	if err != nil {
		return refuseFile(path, err)
	}
	return nil
}
