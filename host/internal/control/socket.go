package control

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// MaxPath is the length in bytes of the longest path of a socket (unix(7): 108 with its end).
const MaxPath = 107

const (
	// readTimeout and maxHeaderBytes bound what a client may hold; requests are a line.
	readTimeout    = 10 * time.Second
	maxHeaderBytes = 8 << 10
	dialTimeout    = time.Second
)

// Listen makes the socket. One that a host which is gone has left is replaced; one that answers is another host's, and is
// left alone.
func Listen(path string) (*Socket, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("the path %s has %d bytes, and sockets can have %d: choose a shorter one", path, len(path), MaxPath)
	}
	if conn, err := net.DialTimeout("unix", path, dialTimeout); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another host answers on %s: stop it, or choose another path", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("%s is there and is no socket: remove it, or choose another path", path)
	}
	// Attack stopped: between its making and a chmod anybody could connect. In a folder that only this user can enter nobody
	// can, and a rename takes it to its place with the mode that it has.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen beside %s, whose path may be too long: %w", path, err)
	}
	listener.SetUnlinkOnClose(false) // it will be elsewhere
	s := &Socket{listener: listener, path: path, uid: os.Getuid()}
	err = errors.Join(os.Chmod(made, 0o600), os.Rename(made, path))
	if err == nil {
		s.made, err = os.Lstat(path)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return s, nil
}

// Socket is where the operator comes in.
type Socket struct {
	listener *net.UnixListener
	path     string
	made     os.FileInfo
	uid      int // of the host's user
}

// Serve answers until Close.
func (s *Socket) Serve(handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadTimeout: readTimeout, IdleTimeout: readTimeout, MaxHeaderBytes: maxHeaderBytes}
	err := server.Serve(owned{s.listener, s.uid})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close ends serving, and removes the socket unless another has taken its place.
func (s *Socket) Close() error {
	err := s.listener.Close()
	if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.made) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// owned lets only processes of the same user, and root's, in. The mode of the socket says the same; but whoever makes the
// folder may have given it away since, and some systems do not look at the mode of sockets.
type owned struct {
	*net.UnixListener
	uid int
}

func (l owned) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, known := peer(conn); known && !trusted(uid, l.uid) {
			conn.Close()
			continue
		}
		return conn, nil
	}
}

// trusted says whether a user may look at a host of another: itself, and root, who could anyway.
func trusted(uid, host int) bool { return uid == host || uid == 0 }
