package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

type serveCommand struct {
	configFlag
	JSON             bool    `help:"Log JSON, and announce the address as one JSON object on the output."`
	LogLevel         *string `enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level of the log: debug, info, warn or error; that of the configuration when absent."`
	AllowNonLoopback bool    `help:"Confirm that server.http.listen may be reached from other machines."`
}

func (c *serveCommand) Help() string {
	return help("Starts the plugins and serves until SIGTERM or SIGINT; then the calls in flight have server.drain_timeout to end. A second signal ends the host at once.",
		"decision-gate serve --config decision-gate.hcl")
}

// ballastBytes are allocated and never touched, so they take no memory. They count as part of the heap, though: the garbage
// collector, which starts when the heap has doubled, runs after so many bytes of garbage and not after each few megabytes
// of a small host's heap (docs/performance.md).
const ballastBytes = 4 << 20

func (c *serveCommand) Run(ctx context.Context, std streams) error {
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, false)
	}
	if err := exposed(settings.Server.HTTP, c.AllowNonLoopback); err != nil {
		return err
	}
	log := c.logger(settings, std)
	// A port that is taken is found before any plugin starts.
	door, err := listen(settings, log)
	if err != nil {
		return tellFindings(err, std, false)
	}
	back, err := openBackDoors(settings)
	if err != nil {
		door.close()
		return err
	}
	defer back.close()
	tellPosture(settings, log)
	h, err := host.Open(ctx, host.Config{Settings: settings, Version: version, Logger: log, AuditOutput: std.err})
	if err != nil {
		door.close()
		return tellFindings(err, std, false)
	}
	reload := reloader(h, func() (*config.Config, error) { return c.load(config.Load) }, log)
	defer onHangup(h, settings.Audit != nil && settings.Audit.Path != "", reload, log)()
	back.serve(h, reload, settings.Server, log)
	s := &service{host: h, settings: settings.Server, door: door, log: log}
	return errors.Join(c.serve(ctx, std, s), h.Close())
}

func (c *serveCommand) logger(settings *config.Config, std streams) *slog.Logger {
	text := settings.Log.Level
	if c.LogLevel != nil {
		text = *c.LogLevel
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(text)) // one of the enum
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readableDuration}
	if c.JSON || settings.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(std.err, options))
	}
	return slog.New(slog.NewTextHandler(std.err, options))
}

// readableDuration writes durations as "10s": JSON would have nanoseconds without a unit.
func readableDuration(_ []string, attr slog.Attr) slog.Attr {
	if attr.Value.Kind() == slog.KindDuration {
		attr.Value = slog.StringValue(attr.Value.Duration().String())
	}
	return attr
}

// service is a host that clients can reach.
type service struct {
	host     *host.Host
	settings config.Server
	door     *entrance // nil when only standard input is served
	log      *slog.Logger
}

// serve serves until the context ends, or the peer on standard input is gone.
func (c *serveCommand) serve(ctx context.Context, std streams, s *service) error {
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var drains []func(context.Context) error
	if s.door != nil {
		server := s.door.server(s.settings, s.host.Handler())
		go func() { stop(s.door.serve(server)) }()
		drains = append(drains, func(ctx context.Context) error { return s.drainHTTP(ctx, server) })
	}
	if s.settings.Stdio != nil {
		drains = append(drains, s.serveStdio(serving, stop, std))
	}
	if err := c.announce(std, s); err != nil {
		return err
	}
	<-serving.Done()
	if err := s.drain(drains); err != nil {
		return err
	}
	if cause := context.Cause(serving); ctx.Err() == nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil // a signal, or the peer on standard input is gone
}

// drain lets the calls in flight end.
func (s *service) drain(drains []func(context.Context) error) error {
	s.log.Info("stopping", "drain_timeout", s.settings.DrainTimeout)
	deadline, cancel := context.WithTimeout(context.Background(), s.settings.DrainTimeout)
	defer cancel()
	for _, drain := range drains {
		if err := drain(deadline); err != nil {
			return fmt.Errorf("some calls did not end within server.drain_timeout (%s) and were cut off", s.settings.DrainTimeout)
		}
	}
	return nil
}

// drainHTTP lets the calls in flight end while the listener still tells that the host is not ready and new calls that they
// should come again. Then the answers have their time to leave.
func (s *service) drainHTTP(ctx context.Context, server *http.Server) error {
	if err := s.host.Drain(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	s.door.empty(ctx, server)
	return nil
}

// empty lets answers leave, which are stored and recorded by then: that one is not taken is no failure of the host. Attack
// stopped: a client that takes none, and has every stop of the host look like one that cut off calls.
func (e *entrance) empty(ctx context.Context, server *http.Server) {
	defer server.Close()
	tail, cancel := context.WithTimeout(ctx, tailPatience)
	defer cancel()
	if server.Shutdown(tail) != nil {
		e.connections.DropWaiting(0)
		_ = server.Shutdown(ctx)
	}
}

// serveStdio serves standard input and returns how to drain it. A read of standard input cannot be interrupted; so it is
// read through a pipe that ends when the serving does, while the call in flight goes on.
func (s *service) serveStdio(serving context.Context, stop context.CancelCauseFunc, std streams) func(context.Context) error {
	in, feed := io.Pipe()
	go func() {
		_, err := io.Copy(feed, std.in)
		feed.CloseWithError(err)
	}()
	context.AfterFunc(serving, func() { feed.CloseWithError(io.EOF) })
	calls, cut := context.WithCancel(context.WithoutCancel(serving))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop(s.host.ServeStdio(calls, in, std.out))
	}()
	return func(deadline context.Context) error {
		defer cut()
		select {
		case <-ended:
			return nil
		case <-deadline.Done():
			return deadline.Err()
		}
	}
}

// announce says where the host listens; standard output belongs to the frames when there are any.
func (c *serveCommand) announce(std streams, s *service) error {
	out := std.out
	if s.settings.Stdio != nil {
		out = std.err
	}
	address := ""
	if s.door != nil {
		address = s.door.Addr().String()
	}
	switch {
	case address == "":
		s.log.Info("serving standard input and output", "version", version)
		return nil
	case c.JSON:
		return writeJSON(out, struct {
			Listening string `json:"listening"`
			RPC       string `json:"rpc"`
		}{address, s.door.url() + "/rpc"})
	default:
		_, err := fmt.Fprintf(out, "Decision Gate Host %s answers on %s/rpc\n", version, s.door.url())
		return err
	}
}
