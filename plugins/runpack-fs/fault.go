package main

import (
	"errors"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// errnoReasons says what the operator, and so the host, can do about an error of the file system.
var errnoReasons = map[syscall.Errno]fault.Reason{
	syscall.ENOSPC: fault.Full,
	syscall.EDQUOT: fault.Full,
	syscall.EROFS:  fault.Denied,
	syscall.EACCES: fault.Denied,
	syscall.EPERM:  fault.Denied,
	syscall.EFBIG:  fault.TooLarge,
	syscall.EMFILE: fault.Unavailable,
	syscall.ENFILE: fault.Unavailable,
	syscall.ENOMEM: fault.Unavailable,
	syscall.ESTALE: fault.Unavailable,
}

// diskFault classifies an error of the file system or a context's end; one that is classified already stays as it is.
// The message names the errno and no path of the machine.
func diskFault(err error, doing string) error {
	var classified *fault.Error
	if err == nil || errors.As(err, &classified) {
		return err
	}
	if reason := fault.ReasonOf(err); reason != fault.Internal {
		return fault.Wrap(reason, err, "%s: the call was ended", doing)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fault.Wrap(fault.Internal, err, "%s failed", doing)
	}
	reason, ok := errnoReasons[errno]
	if !ok {
		reason = fault.Internal
		if isTampered(err) {
			// A symlink or a file where the sink keeps a directory: nobody but an intruder or a hurried operator puts it there.
			reason = fault.Corrupt
		}
	}
	return fault.Wrap(reason, err, "%s: %s", doing, errno.Error())
}
