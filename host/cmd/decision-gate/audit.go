package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/host"
)

// reopenAudit opens the file of the audit log anew at each SIGHUP, which programs that rotate logs send, and which would
// otherwise end the host. The function that it returns ends that.
func reopenAudit(h *host.Host, log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			if err := h.ReopenAudit(); err != nil {
				// The open file is written to until the next request looks for the new one, and fails if there is none.
				log.Error("the audit log cannot be opened anew", "error", err)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}
