package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// keySet holds an issuer's keys and fetches them again: when they are old, and when somebody asks for one that is not among
// them, but then no sooner than a pause after the last time. One fetch runs at a time, whoever waits for it.
type keySet struct {
	fetch                func(context.Context) ([]jose.JSONWebKey, error)
	refresh, pause, keep time.Duration
	now                  func() time.Time
	logger               *slog.Logger

	life context.Context // ends when the set is closed
	stop context.CancelFunc

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time     // when keys came
	tried   time.Time     // when the last fetch ended
	failed  bool          // it did
	flight  chan struct{} // closed when the fetch under way has ended; nil when there is none
}

func newKeySet(s *settings, fetch func(context.Context) ([]jose.JSONWebKey, error), logger *slog.Logger) *keySet {
	k := &keySet{
		fetch: fetch, now: time.Now, logger: logger,
		refresh: time.Duration(s.Refresh), pause: time.Duration(s.RefetchPause), keep: time.Duration(s.Keep),
	}
	k.life, k.stop = context.WithCancel(context.Background())
	return k
}

// close ends a fetch that is under way.
func (k *keySet) close() {
	k.stop()
	k.mu.Lock()
	flight := k.flight
	k.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// named are the keys with an id, none when the issuer has none. Without an id it is the issuer's only key.
func (k *keySet) named(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	all, failed, err := k.current(ctx, func(keys []jose.JSONWebKey) bool { return len(choose(keys, id)) > 0 })
	if err != nil {
		return nil, err
	}
	chosen := choose(all, id)
	if len(chosen) == 0 && failed {
		// The issuer may have a key by now that could not be fetched.
		return nil, errNoKeys
	}
	return chosen, nil
}

func choose(keys []jose.JSONWebKey, id string) (chosen []jose.JSONWebKey) {
	if id == "" && len(keys) == 1 {
		return keys
	}
	for _, key := range keys {
		if id != "" && key.KeyID == id {
			chosen = append(chosen, key)
		}
	}
	return chosen
}

// ready says whether tokens can be checked now, after a fetch if one is due.
func (k *keySet) ready(ctx context.Context) error {
	_, _, err := k.current(ctx, func([]jose.JSONWebKey) bool { return true })
	return err
}

var errNoKeys = fault.New(fault.Unavailable, "the keys of the issuer cannot be fetched; the log of the plugin says why")

// current are keys that may be used now, and whether the last fetch failed. Those that are wanted are looked for at the issuer
// when they are not there.
func (k *keySet) current(ctx context.Context, wanted func([]jose.JSONWebKey) bool) (_ []jose.JSONWebKey, failed bool, _ error) {
	for {
		k.mu.Lock()
		now := k.now()
		age := now.Sub(k.fetched)
		if k.keys != nil && age < k.refresh && wanted(k.keys) {
			defer k.mu.Unlock()
			return k.keys, k.failed, nil
		}
		if k.flight == nil && (k.tried.IsZero() || now.Sub(k.tried) >= k.pause) && k.life.Err() == nil {
			k.flight = make(chan struct{})
			go k.fly(k.flight)
		}
		flight := k.flight
		if flight == nil {
			defer k.mu.Unlock()
			if k.keys == nil || age >= k.keep {
				return nil, true, errNoKeys
			}
			return k.keys, k.failed, nil
		}
		k.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, true, fault.Wrap(fault.ReasonOf(ctx.Err()), ctx.Err(), "the keys of the issuer were not there in time")
		}
	}
}

// fly fetches the keys once, whoever still waits for them.
func (k *keySet) fly(done chan struct{}) {
	keys, err := k.fetch(k.life)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried, k.failed = k.now(), err != nil
	if err == nil {
		k.keys, k.fetched = keys, k.tried
	} else if k.life.Err() == nil {
		k.logger.Warn("the keys of the issuer cannot be fetched", "cause", err.Error(), "next_try", k.pause.String())
	}
	k.flight = nil
	close(done)
}
