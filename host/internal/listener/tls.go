package listener

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Files are the files of a TLS listener (mcp contract §2.5).
type Files struct {
	// Cert and Key are PEM files of the certificate, with those that issued it, and of its key.
	Cert, Key string
	// ClientCA is a PEM file of the certificates that those of clients must be issued by; empty asks clients for none.
	ClientCA string
	// RequireClientCert refuses clients without one, where there is a ClientCA.
	RequireClientCert bool
}

// maxPEM is the size in bytes of the largest file that is read; bundles of all public authorities have a quarter of it.
const maxPEM = 1 << 20

// FileError is a file that cannot be used. Path is that of Files.
type FileError struct {
	Path string
	// Problem says what is wrong and what to do, without the path.
	Problem string
}

func (e *FileError) Error() string { return e.Path + ": " + e.Problem }

// Load reads the files. The error is a *FileError.
func (f Files) Load() (*tls.Config, error) {
	certificate, err := f.certificate()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if f.ClientCA == "" {
		return config, nil
	}
	if config.ClientCAs, err = authorities(f.ClientCA); err != nil {
		return nil, err
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if f.RequireClientCert {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// A session that is resumed is not verified against authorities that were removed since.
	config.SessionTicketsDisabled = true
	return config, nil
}

func (f Files) certificate() (tls.Certificate, error) {
	none := tls.Certificate{}
	cert, err := read(f.Cert)
	if err != nil {
		return none, err
	}
	if !holds(cert, func(kind string) bool { return kind == "CERTIFICATE" }) {
		return none, &FileError{f.Cert, "holds no certificate: it must be PEM, with a block -----BEGIN CERTIFICATE-----"}
	}
	key, err := read(f.Key)
	if err != nil {
		return none, err
	}
	switch {
	case holds(key, func(kind string) bool { return kind == "ENCRYPTED PRIVATE KEY" }) || bytes.Contains(key, []byte("Proc-Type: 4,ENCRYPTED")):
		return none, &FileError{f.Key, `is encrypted, and the host knows no password: write it without, as "openssl pkey -in OLD -out NEW" does, in a file that only the host may read`}
	case !holds(key, func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }):
		return none, &FileError{f.Key, "holds no private key: it must be PEM, with a block -----BEGIN PRIVATE KEY-----, RSA PRIVATE KEY or EC PRIVATE KEY"}
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err == nil:
		return pair, nil
	case strings.Contains(err.Error(), "does not match"):
		return none, &FileError{f.Key, "is not the key of the certificate: name the key that the certificate was asked for with"}
	case strings.Contains(err.Error(), "private key"):
		return none, &FileError{f.Key, "cannot be used: " + strings.TrimPrefix(err.Error(), "tls: ")}
	default:
		return none, &FileError{f.Cert, "cannot be used: " + strings.TrimPrefix(err.Error(), "tls: ")}
	}
}

func authorities(path string) (*x509.CertPool, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	pool, found := x509.NewCertPool(), false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			// Not left out, as AppendCertsFromPEM does: its clients would be refused without a reason.
			return nil, &FileError{path, "holds a certificate that cannot be read: " + strings.TrimPrefix(err.Error(), "x509: ")}
		}
		pool.AddCert(certificate)
		found = true
	}
	if !found {
		return nil, &FileError{path, "holds no certificate: it must be PEM, with a block -----BEGIN CERTIFICATE----- for each authority"}
	}
	return pool, nil
}

func holds(text []byte, is func(kind string) bool) bool {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if is(block.Type) {
			return true
		}
	}
	return false
}

// read reads a small regular file: a pipe could block a handshake for ever.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &FileError{path, "is not a file"}
	}
	var text []byte
	if err == nil {
		text, err = readAtMost(path, maxPEM+1)
	}
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &FileError{path, "is not there"}
	case errors.Is(err, fs.ErrPermission):
		return nil, &FileError{path, "may not be read by the user that the host runs as"}
	case errors.As(err, &failed):
		return nil, &FileError{path, "cannot be read: " + failed.Err.Error()}
	case err != nil:
		return nil, &FileError{path, "cannot be read: " + err.Error()}
	case len(text) > maxPEM:
		return nil, &FileError{path, fmt.Sprintf("is larger than %d bytes", maxPEM)}
	}
	return text, nil
}

func readAtMost(path string, n int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, n))
}

// Certificates are files that are read again when they have changed: certificates are renewed every few weeks, and a host
// should not have to stop for it. Files that do not load leave those in use that did.
type Certificates struct {
	files  Files
	logger *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	seen    []os.FileInfo // of the files when they were last read, whether they loaded or not
}

// NewCertificates reads the files. The error is a *FileError.
func NewCertificates(files Files, logger *slog.Logger) (*Certificates, error) {
	c := &Certificates{files: files, logger: logger, seen: files.stat()}
	var err error
	if c.current, err = files.Load(); err != nil {
		return nil, err
	}
	c.warnExpiry(time.Now())
	return c, nil
}

// Config is the configuration of a listener that follows the files.
func (c *Certificates) Config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	config := c.current.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.latest(), nil }
	return config
}

// latest is asked for by every handshake: it looks at the times of the files, which is cheap beside one.
func (c *Certificates) latest() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.files.stat()
	if same(c.seen, now) {
		return c.current
	}
	c.seen = now
	config, err := c.files.Load()
	if err != nil {
		c.logger.Error("the files of TLS have changed and cannot be used; those read before stay in use", "error", err)
		return c.current
	}
	c.current = config
	c.logger.Info("the files of TLS have changed and are in use")
	c.warnExpiry(time.Now())
	return config
}

func (c *Certificates) warnExpiry(now time.Time) {
	if leaf := c.current.Certificates[0].Leaf; now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		c.logger.Warn("the certificate of TLS is not valid now: clients will refuse it", "not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
	}
}

// stat is nil for a file that is not there.
func (f Files) stat() (infos []os.FileInfo) {
	for _, path := range []string{f.Cert, f.Key, f.ClientCA} {
		info, _ := os.Stat(path)
		infos = append(infos, info)
	}
	return infos
}

// same reports whether no file was written or replaced since.
func same(a, b []os.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
		case a[i] == nil || b[i] == nil:
			return false
		case !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size():
			return false
		}
	}
	return true
}
