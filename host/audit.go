package host

import (
	"cmp"
	"io"
	"os"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
)

// openAudit opens the audit log of a configuration, nil when there is none. Its first line says that the host is in its
// development mode, when it is.
func openAudit(cfg Config) (*audit.Log, error) {
	settings := cfg.Settings.Audit
	if settings == nil {
		return nil, nil
	}
	log := audit.New(cmp.Or[io.Writer](cfg.AuditOutput, os.Stderr))
	if settings.Path != "" {
		var err error
		if log, err = audit.Open(settings.Path); err != nil {
			return nil, err
		}
	}
	how := security(cfg.Settings)
	if !how.Development {
		return log, nil
	}
	line := audit.AppendLine(nil, audit.Security{
		TimestampMS: time.Now().UnixMilli(), Kind: audit.DevelopmentEnabled, DevPermissive: true, NamespaceAuthority: how.NamespaceAuthority(),
	})
	return log, log.Write(line)
}
