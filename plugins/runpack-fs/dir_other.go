//go:build !linux

package main

import (
	"golang.org/x/sys/unix"
)

// openBeneath answers ENOSYS: without openat2 a path is walked component by component with O_NOFOLLOW, which is as
// strict and costs a system call for each.
func openBeneath(int, string) (int, error) { return -1, unix.ENOSYS }

// renameNoReplace relies on rename(2) refusing to replace a directory that is not empty: a finished bundle never is.
func renameNoReplace(fromFD int, from string, toFD int, to string) error {
	return unix.Renameat(fromFD, from, toFD, to)
}
