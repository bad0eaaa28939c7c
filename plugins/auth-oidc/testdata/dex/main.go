// Command dex serves the identity provider dex on a loopback port, with users, groups and clients for tests, and prints its
// issuer. It ends with its standard input. Below /control it does what its operator would: rotate keys, withdraw old ones, and
// turn its clock.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"golang.org/x/crypto/bcrypt"
)

// password is every user's, and secret every client's.
const (
	password = "correct-horse"
	secret   = "a-client-secret"
)

// users and their groups.
var users = map[string][]string{"alice": {"gate-admins", "cleaners"}, "bob": {"readers-of-two"}, "carol": nil}

// clients are the audiences of tokens.
var clients = []string{"decision-gate", "another-service"}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String() + "/dex"
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	kept := memory.New(logger)
	if err := fill(ctx, kept); err != nil {
		return err
	}
	control := &control{storage: kept}
	keys := &signer.LocalConfig{KeysRotationPeriod: "6h"}
	if control.signer, err = keys.Open(ctx, kept, time.Hour, time.Now, logger); err != nil {
		return err
	}
	dex, err := server.NewServer(ctx, server.Config{
		Issuer: issuer, Storage: kept, PasswordConnector: "local", SkipApprovalScreen: true, Logger: logger, Signer: control.signer,
		Now: control.now, IDTokensValidFor: time.Hour, AllowedGrantTypes: []string{"password", "authorization_code", "refresh_token"},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/dex/", dex)
	mux.HandleFunc("POST /control/rotate", control.rotate)
	mux.HandleFunc("POST /control/withdraw", control.withdraw)
	mux.HandleFunc("POST /control/clock", control.clock)
	fmt.Println(issuer)
	return http.Serve(listener, mux)
}

func fill(ctx context.Context, s storage.Storage) error {
	for _, id := range clients {
		if err := s.CreateClient(ctx, storage.Client{ID: id, Secret: secret, RedirectURIs: []string{"http://127.0.0.1/unused"}}); err != nil {
			return err
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return err
	}
	for name, groups := range users {
		if err := s.CreatePassword(ctx, storage.Password{Email: name + "@example.com", Username: name, UserID: name, Groups: groups, Hash: hash}); err != nil {
			return err
		}
	}
	return s.CreateConnector(ctx, storage.Connector{ID: "local", Type: "local", Name: "local", ResourceVersion: "1"})
}

type control struct {
	storage storage.Storage
	signer  signer.Signer
	offset  atomic.Int64 // of the clock
}

func (c *control) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

// rotate has dex make a new signing key now, and keep the old one for tokens that are out.
func (c *control) rotate(w http.ResponseWriter, r *http.Request) {
	err := c.storage.UpdateKeys(r.Context(), func(keys storage.Keys) (storage.Keys, error) {
		keys.NextRotation = time.Time{}
		return keys, nil
	})
	if err == nil {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		c.signer.Start(ctx) // which rotates before it returns, and then not again
	}
	answer(w, err)
}

// withdraw lets old keys count no more.
func (c *control) withdraw(w http.ResponseWriter, r *http.Request) {
	answer(w, c.storage.UpdateKeys(r.Context(), func(keys storage.Keys) (storage.Keys, error) {
		keys.VerificationKeys = nil
		return keys, nil
	}))
}

func (c *control) clock(w http.ResponseWriter, r *http.Request) {
	offset, err := time.ParseDuration(r.FormValue("offset"))
	c.offset.Store(int64(offset))
	answer(w, err)
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
