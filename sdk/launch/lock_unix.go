//go:build unix

package launch

import (
	"os"
	"syscall"
)

const canLock = true

// tryLock locks an open file or directory until it is closed, or fails at once.
func tryLock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
