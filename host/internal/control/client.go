package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

// Client asks the host on a socket.
type Client struct {
	path string
	http http.Client
}

// ErrRefused is wrapped by the error of a host that was asked and did not do it.
var ErrRefused = errors.New("the host refuses")

// Dial makes a client; it connects with the first question.
func Dial(path string) *Client {
	return &Client{path: path, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}}
}

// Details are those of every plugin.
func (c *Client) Details(ctx context.Context) (details []catalog.Detail, err error) {
	return details, c.ask(ctx, http.MethodGet, "/plugins", &details)
}

// Restart replaces the process of one plugin.
func (c *Client) Restart(ctx context.Context, kind, name string) (swapped catalog.Swapped, err error) {
	return swapped, c.ask(ctx, http.MethodPost, "/plugins/"+url.PathEscape(kind)+"/"+url.PathEscape(name)+"/restart", &swapped)
}

// Reload has the host read its configuration anew.
func (c *Client) Reload(ctx context.Context) (reloaded *Reloaded, err error) {
	return reloaded, c.ask(ctx, http.MethodPost, "/reload", &reloaded)
}

// maxAnswer is the size in bytes of the largest answer: some kilobytes of log for each plugin.
const maxAnswer = 64 << 20

func (c *Client) ask(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://host"+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no host answers on %s: start one whose configuration names it as server.control.socket", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s belongs to another user: ask as the user whose host it is", c.path)
	case err != nil:
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusOK {
		return json.Unmarshal(body, into)
	}
	var told failure
	if json.Unmarshal(body, &told) != nil || told.Error == "" {
		return fmt.Errorf("the host on %s answers %s", c.path, response.Status)
	}
	return fmt.Errorf("%w: %s", ErrRefused, told.Error)
}
