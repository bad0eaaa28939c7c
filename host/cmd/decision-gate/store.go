package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

// storeHelp is the part of the help that every command has that opens a store.
const storeHelp = "Only the store plugin of the configuration is started; hosts may serve the same store meanwhile."

// withStore opens the store of a configuration, hands it to do and closes it. Mistakes in the configuration are told.
func withStore(ctx context.Context, std streams, from configFlag, asJSON bool, do func(*upkeep.Store) error) error {
	s, err := openStore(ctx, std, from)
	if err != nil {
		return tellFindings(err, std, asJSON)
	}
	return errors.Join(do(s), s.Close())
}

func openStore(ctx context.Context, std streams, from configFlag) (*upkeep.Store, error) {
	settings, err := from.load(config.Load)
	if err != nil {
		return nil, err
	}
	return upkeep.Open(ctx, settings, storeLog(std))
}

// storeLog is the log of the plugins of a command. Their errors are answers to the command; below that their logs tell what a host
// would want to know.
func storeLog(std streams) *slog.Logger {
	return slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: readableDuration}))
}
