package catalog

import (
	"context"
	"encoding/hex"
	"log/slog"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// Pin starts every plugin just long enough to read its manifest, and returns the lock file's content. What the
// configuration pins itself is checked; an earlier lock file is not, since Pin is what replaces it.
func Pin(ctx context.Context, options Options) (*config.Lock, error) {
	options.Lock, options.RequirePins, options.manifestOnly = nil, false, true
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	programs, err := resolveAll(options)
	if err != nil {
		return nil, err
	}
	lock := &config.Lock{}
	for _, p := range programs {
		locked, err := p.lock(ctx, options)
		if err != nil {
			return nil, err
		}
		lock.Plugins = append(lock.Plugins, locked)
	}
	return lock, nil
}

func (p *program) lock(ctx context.Context, options Options) (*config.Locked, error) {
	sum, err := fileSum(p.path)
	if err != nil {
		return nil, pluginError(p.plugin, err)
	}
	files, err := script(p.plugin)
	if err != nil {
		return nil, pluginError(p.plugin, err)
	}
	// A pin of the configuration is the operator's: it is corrected there, not here.
	if err := p.checkSum(); err != nil {
		return nil, err
	}
	if len(p.pin) == 0 {
		// The manifest comes from the very bytes whose sum is written.
		if p.pin, err = hex.DecodeString(sum); err != nil {
			return nil, pluginError(p.plugin, err)
		}
	}
	process, m, err := p.launch(ctx, options.Logger)
	if err != nil {
		return nil, err
	}
	process.Kill(shutdownDeadline)
	locked := &config.Locked{
		Kind: p.plugin.Kind, Name: p.plugin.Name, Command: p.plugin.Command, SHA256: hex.EncodeToString(p.pin), Files: files,
		Plugin: m.name, Version: m.version, Protocols: m.protocols, Capabilities: m.capabilities,
	}
	locked.SetConfigSchema(m.schema)
	if signed := p.signed.Load(); signed != nil {
		locked.SignedBy, locked.Comment = signed.key, signed.comment
	}
	return locked, nil
}
