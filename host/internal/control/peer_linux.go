package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// peer is the user of the process at the other end.
func peer(conn *net.UnixConn) (uid int, known bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if credentials, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid, known = int(credentials.Uid), true
		}
	})
	return uid, known
}
