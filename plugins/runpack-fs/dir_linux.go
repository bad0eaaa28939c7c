package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// openBeneath opens a directory in one system call that refuses "..", absolute paths, symlinks and magic links in every
// component.
func openBeneath(fd int, path string) (int, error) {
	how := &unix.OpenHow{Flags: dirOpen, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
	for {
		opened, err := unix.Openat2(fd, path, how)
		if !errors.Is(err, unix.EINTR) {
			return opened, err
		}
	}
}

func renameNoReplace(fromFD int, from string, toFD int, to string) error {
	return unix.Renameat2(fromFD, from, toFD, to, unix.RENAME_NOREPLACE)
}
