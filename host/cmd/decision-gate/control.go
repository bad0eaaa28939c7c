package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/control"
)

// backDoors are where the operator of the machine comes in: the control socket and the page of metrics. They are opened
// before any plugin is started, so that a taken port or path is found at once.
type backDoors struct {
	control *control.Socket
	metrics net.Listener
}

func openBackDoors(settings *config.Config) (doors *backDoors, err error) {
	doors = &backDoors{}
	if m := settings.Server.Metrics; m != nil {
		if doors.metrics, err = net.Listen(network(m.Listen), m.Listen); err != nil {
			return nil, fmt.Errorf("%w: stop what listens there, or choose another address in server.metrics.listen", err)
		}
		// The name localhost is whatever the machine says that it is.
		if at, isTCP := doors.metrics.Addr().(*net.TCPAddr); !isTCP || !at.IP.IsLoopback() {
			doors.close()
			return nil, refused("Refusing to serve metrics on %s: that is beyond loopback. Name the address in server.metrics.listen.", at)
		}
	}
	if c := settings.Server.Control; c != nil {
		if doors.control, err = control.Listen(c.Socket); err != nil {
			doors.close()
			return nil, fmt.Errorf("server.control.socket: %w", err)
		}
	}
	return doors, nil
}

// serve answers until close. A door that fails is told and missed; decisions do not depend on it.
func (d *backDoors) serve(h *host.Host, reload reload, settings config.Server, log *slog.Logger) {
	if d.control != nil {
		go func() {
			if err := d.control.Serve(h.Control(reload)); err != nil {
				log.Error("the control socket is not served any more", "error", err)
			}
		}()
	}
	if d.metrics != nil {
		server := &http.Server{
			Handler: h.Metrics(), ReadTimeout: settings.ReadTimeout, IdleTimeout: settings.IdleTimeout, MaxHeaderBytes: maxHeaderBytes,
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		}
		log.Info("serving metrics", "url", "http://"+d.metrics.Addr().String()+"/metrics")
		go func() {
			if err := server.Serve(d.metrics); !errors.Is(err, net.ErrClosed) {
				log.Error("metrics are not served any more", "error", err)
			}
		}()
	}
}

func (d *backDoors) close() {
	if d.control != nil {
		_ = d.control.Close()
	}
	if d.metrics != nil {
		_ = d.metrics.Close()
	}
}

// onHangup does at each SIGHUP, which would otherwise end the host, what programs mean by it: it opens the file of the audit log
// anew, for programs that rotate logs, and reads the plugins of the configuration anew. The function that it returns ends that.
func onHangup(h *host.Host, audited bool, reload reload, log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			if audited {
				if err := h.ReopenAudit(); err != nil {
					// The open file is written to until the next request looks for the new one, and fails if there is none.
					log.Error("the audit log cannot be opened anew", "error", err)
				}
			}
			_, _ = reload(context.Background()) // which has told its error
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

// reloadDeadline bounds a reload: the starts of all plugins at once, and their becoming ready.
const reloadDeadline = time.Minute

// reload reads the configuration anew, swaps the plugins that have changed, and logs what came of it.
type reload func(context.Context) (*host.Reloaded, error)

func reloader(h *host.Host, read func() (*config.Config, error), log *slog.Logger) reload {
	return func(ctx context.Context) (*host.Reloaded, error) {
		ctx, cancel := context.WithTimeout(ctx, reloadDeadline)
		defer cancel()
		settings, err := read()
		var reloaded *host.Reloaded
		if err == nil {
			reloaded, err = h.Reload(ctx, settings)
		}
		if err != nil {
			log.Error("the configuration is not taken: the plugins that run go on", "error", err)
			return nil, err
		}
		tellReload(reloaded, log)
		return reloaded, nil
	}
}

func tellReload(reloaded *host.Reloaded, log *slog.Logger) {
	var changed []string
	for _, p := range reloaded.Plugins {
		if p.Changed {
			changed = append(changed, p.Kind+"/"+p.Name)
		}
	}
	log.Info("reloaded", "plugins_changed", changed)
	if len(reloaded.Restart) > 0 {
		log.Warn("these blocks of the configuration have changed and take effect when the host is restarted", "blocks", reloaded.Restart)
	}
}
