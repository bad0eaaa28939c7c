package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clients call tools over connections that they keep, as many at a time as there are connections. All of them are one thread
// that polls: it shares the processors with what it measures, and a goroutine for each took a quarter of them.
type clients struct {
	host        string
	connections []*connection
}

// connection is a client: it has at most one call under way.
type connection struct {
	fd      int
	began   time.Time
	out, in []byte
}

// callTimeout ends a run whose host does not answer.
const callTimeout = time.Minute

func connect(url string, n int) (*clients, error) {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	address, err := net.ResolveTCPAddr("tcp4", host)
	if err != nil {
		return nil, err
	}
	c := &clients{host: host}
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.connections = append(c.connections, &connection{fd: fd})
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())})
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

func (c *clients) close() error {
	var errs []error
	for _, conn := range c.connections {
		errs = append(errs, unix.Close(conn.fd))
	}
	return errors.Join(errs...)
}

// call makes one call.
func (c *clients) call(r request) error {
	left := 1
	_, err := c.together(1, func(int) (request, bool) { left--; return r, left >= 0 })
	return err
}

// together has the first n clients call what pick gives each, until that is nothing, and answers how long each call took,
// sorted.
func (c *clients) together(n int, pick func(client int) (request, bool)) ([]time.Duration, error) {
	var took []time.Duration
	waiting := make([]unix.PollFd, n)
	calling := 0
	begin := func(i int) error {
		r, more := pick(i)
		if !more {
			waiting[i].Fd = -1 // poll leaves it out
			return nil
		}
		calling++
		waiting[i] = unix.PollFd{Fd: int32(c.connections[i].fd), Events: unix.POLLIN}
		return c.connections[i].send(c.host, r)
	}
	for i := range n {
		if err := begin(i); err != nil {
			return nil, err
		}
	}
	for calling > 0 {
		ready, err := unix.Poll(waiting, int(callTimeout.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case ready == 0:
			return nil, fmt.Errorf("the host has not answered for %s", callTimeout)
		}
		for i := range waiting {
			if waiting[i].Fd < 0 || waiting[i].Revents == 0 {
				continue
			}
			whole, err := c.connections[i].receive()
			if err != nil {
				return nil, err
			}
			if !whole {
				continue
			}
			calling--
			took = append(took, time.Since(c.connections[i].began))
			if err := begin(i); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(took)
	return took, nil
}

// send writes a request, which is smaller than a socket's buffer.
func (c *connection) send(host string, r request) error {
	const before, after = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`, `","arguments":`
	c.out = fmt.Appendf(c.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n%s%s%s%s}}",
		cmp.Or(r.surface, "/rpc"), host, len(before)+len(r.tool)+len(after)+len(r.arguments)+2, before, r.tool, after, r.arguments)
	c.in, c.began = c.in[:0], time.Now()
	n, err := unix.Write(c.fd, c.out)
	if err == nil && n < len(c.out) {
		err = errors.New("a request does not fit into the socket")
	}
	return err
}

// receive reads what has come of the answer, and says whether that is all. One that is an error ends the run.
func (c *connection) receive() (whole bool, err error) {
	c.in = slices.Grow(c.in, 16<<10)
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err != nil {
		return false, err
	}
	if n == 0 {
		return false, errors.New("the host has closed a connection")
	}
	c.in = c.in[:len(c.in)+n]
	header, body, found := bytes.Cut(c.in, []byte("\r\n\r\n"))
	if !found {
		return false, nil
	}
	_, value, _ := bytes.Cut(header, []byte("Content-Length: "))
	value, _, _ = bytes.Cut(value, []byte("\r\n"))
	length, err := strconv.Atoi(string(value))
	if err != nil {
		return false, fmt.Errorf("an answer without a length: %s", header)
	}
	if len(body) < length {
		return false, nil
	}
	if !bytes.Contains(body, []byte(`"result":{"content":[{"type":`)) || bytes.Contains(body, []byte(`"isError":true`)) {
		return false, fmt.Errorf("the host answers %s", body)
	}
	return true, nil
}
