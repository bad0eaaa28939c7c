package postgres

import (
	"net"
	"syscall"
	"testing"
)

// A connection to the server ends by itself when nothing that is sent on it is acknowledged any more.
func TestSilenceIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name          string
		level, option int
		value         int
	}{
		{"TCP_USER_TIMEOUT in ms", syscall.IPPROTO_TCP, tcpUserTimeout, 10_000},
		{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE in s", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 5},
		{"TCP_KEEPINTVL in s", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 1},
	} {
		got, failed := 0, error(nil)
		if err := raw.Control(func(fd uintptr) { got, failed = syscall.GetsockoptInt(int(fd), want.level, want.option) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got != want.value {
			t.Errorf("%s is %d, want %d", want.name, got, want.value)
		}
	}
}
