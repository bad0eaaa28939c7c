package postgres

import (
	"context"
	"net"
	"syscall"
	"time"
)

// silence is how long a connection may go without an acknowledgement before it counts as lost: a machine that is gone says
// nothing, and by itself the system would wait for a quarter of an hour.
const silence = 10 * time.Second

// dial connects so that a silent end is noticed: with probes while an answer is waited for, and where the system can, with a
// bound on what was sent and not acknowledged.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 10, Count: 5},
		Control: func(network, _ string, c syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			var failed error
			err := c.Control(func(fd uintptr) { failed = boundSilence(fd, silence) })
			if err == nil {
				err = failed
			}
			return err
		},
	}
	return dialer.DialContext(ctx, network, address)
}
