package pgtest

import "syscall"

// attributes end the server in order when the test binary dies, however that happens.
func attributes(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
}
