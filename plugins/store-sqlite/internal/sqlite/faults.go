package sqlite

import (
	"context"
	"errors"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// faults says what each kind of error means to the host. The first match wins. Messages name no path and no bytes of a
// record: they travel to the host.
var faults = []struct {
	is      []error
	reason  fault.Reason
	message string
}{
	{[]error{context.DeadlineExceeded}, fault.Deadline, "the call's deadline passed"},
	{[]error{context.Canceled}, fault.Unavailable, "the call was cancelled"},
	// The driver does not say why the shared memory could not grow, and space is what it needs to.
	{[]error{sqlite3.FULL, sqlite3.IOERR_SHMSIZE, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}, fault.Full,
		"no space is left for the database; free space on its disk, or raise its quota or the limit on the size of files"},
	{[]error{sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.IOERR_CORRUPTFS, sqlite3.IOERR_DATA, sqlite3.IOERR_SHORT_READ}, fault.Corrupt,
		"the database file is damaged; stop the host, keep a copy of the file for analysis and restore a backup"},
	{[]error{sqlite3.BUSY, sqlite3.LOCKED}, fault.Unavailable,
		"another process held the database's lock for longer than busy_timeout"},
	{[]error{sqlite3.READONLY, sqlite3.PERM, syscall.EACCES, syscall.EPERM, syscall.EROFS}, fault.Denied,
		"the database cannot be written; its file and its folder must be writable for the plugin's user"},
	{[]error{sqlite3.TOOBIG}, fault.TooLarge, "a value is larger than SQLite holds"},
	{[]error{sqlite3.IOERR, sqlite3.CANTOPEN}, fault.Unavailable,
		"reading or writing the database's file failed; look at the kernel's log and the file system"},
}

// classify gives an error of the driver its reason. ctx is the call's: a statement interrupted by its end answers with
// the end of the context. Errors that have a reason keep it.
func classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil {
		err = ctx.Err()
	}
	for _, f := range faults {
		for _, target := range f.is {
			if errors.Is(err, target) {
				return fault.Wrap(f.reason, err, "%s", f.message)
			}
		}
	}
	return fault.Wrap(fault.Internal, err, "the database refused a statement of the plugin; this is a bug")
}

// ignoreBusy drops the error of a lock that another connection holds, where trying again later is as good.
func ignoreBusy(err error) error {
	if errors.Is(err, sqlite3.BUSY) {
		return nil
	}
	return err
}
