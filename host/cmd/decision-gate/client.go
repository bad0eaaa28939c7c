package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

// clientHelp ends the long help of the commands that call a host.
const clientHelp = "The host is that of --server, or a program that --stdio starts and that serves its standard input and output. A token comes from --token-file or DECISION_GATE_TOKEN, never from the command line, which everybody on the machine can read."

// clientFlags say how a running host is reached.
type clientFlags struct {
	Server     string        `env:"DECISION_GATE_SERVER" default:"http://127.0.0.1:8080" placeholder:"URL" group:"How the host is reached:" help:"The host (${default}; $$${env})."`
	TokenFile  string        `placeholder:"FILE" group:"How the host is reached:" help:"File with the bearer token ($$DECISION_GATE_TOKEN)."`
	ClearToken bool          `group:"How the host is reached:" help:"Let the token go over http to another machine."`
	CAFile     string        `name:"ca-file" placeholder:"FILE" group:"How the host is reached:" help:"PEM certificates of the authorities that the server's may come from, instead of the system's."`
	Cert       string        `placeholder:"FILE" and:"pair" group:"How the host is reached:" help:"PEM certificate to present to the server; with --key."`
	Key        string        `placeholder:"FILE" and:"pair" group:"How the host is reached:" help:"PEM key of the certificate."`
	Stdio      bool          `group:"How the host is reached:" help:"Start the program that follows -- and call it over its standard input and output."`
	Timeout    time.Duration `default:"30s" placeholder:"TIME" group:"How the host is reached:" help:"Time for the whole command (${default})."`
	JSON       bool          `help:"Answer with the tool's result as one JSON object, or {\"error\": ...}."`
}

// tenancyFlags name the tenant and the namespace of a call.
type tenancyFlags struct {
	Tenant    positive `env:"DECISION_GATE_TENANT" default:"1" placeholder:"N" help:"Tenant, 1 or more (${default}; $$${env})."`
	Namespace positive `env:"DECISION_GATE_NAMESPACE" required:"" placeholder:"N" help:"Namespace, 1 or more ($$${env})."`
}

func (f *tenancyFlags) tenant() gate.TenantID       { return gate.TenantID(f.Tenant) }
func (f *tenancyFlags) namespace() gate.NamespaceID { return gate.NamespaceID(f.Namespace) }

// positive is a number from 1.
type positive uint64

// UnmarshalText reads the number.
func (p *positive) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || n == 0 {
		return errors.New("not a whole number from 1")
	}
	*p = positive(n)
	return nil
}

// stdioCommand is the program that --stdio starts.
type stdioCommand []string

// cutCommand takes the program of --stdio off a command line: all that follows the first "--".
func cutCommand(args []string) (_ []string, command stdioCommand) {
	end := slices.Index(args, "--")
	if end < 0 || !slices.Contains(args[:end], "--stdio") {
		return args, nil
	}
	return args[:end], args[end+1:]
}

// session is a host that is called by one command.
type session struct {
	client *client.Client
	std    streams
	json   bool
	cancel context.CancelFunc
	ctx    context.Context
}

const tokenVariable = "DECISION_GATE_TOKEN"

// connect prepares to call; the caller ends the session.
func (f *clientFlags) connect(ctx context.Context, std streams, command stdioCommand) (*session, error) {
	if f.Timeout <= 0 {
		return nil, &exitError{exitUsage, errors.New("--timeout must be more than 0")}
	}
	s := &session{std: std, json: f.JSON}
	s.ctx, s.cancel = context.WithTimeout(ctx, f.Timeout)
	var err error
	if f.Stdio {
		s.client, err = f.start(s.ctx, command)
	} else {
		s.client, err = f.dial()
	}
	if err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

func (f *clientFlags) start(ctx context.Context, command stdioCommand) (*client.Client, error) {
	if len(command) == 0 {
		return nil, &exitError{exitUsage, errors.New("--stdio needs a program: end the command with -- PROGRAM ARGS..., such as -- decision-gate serve --config host.hcl")}
	}
	// The token is for a server; a program that is started has no use for it.
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, tokenVariable+"=") })
	return client.Start(ctx, command, environment)
}

func (f *clientFlags) dial() (*client.Client, error) {
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	settings := client.HTTP{Server: f.Server, Token: token, ClearToken: f.ClearToken, Agent: "decision-gate/" + version}
	if f.CAFile != "" {
		if settings.CA, err = readFile(f.CAFile, streams{}, maxCredential); err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		settings.Certificate = &pair
	}
	dialed, err := client.Dial(settings)
	if err != nil {
		return nil, fmt.Errorf("%s", printable(err.Error()))
	}
	return dialed, nil
}

// maxCredential is the size in bytes of the largest token or certificate file: nobody has a larger one.
const maxCredential = 1 << 20

// token finds the token. Its text is in no error.
func (f *clientFlags) token() (string, error) {
	token, source := os.Getenv(tokenVariable), tokenVariable
	if f.TokenFile != "" {
		content, err := readFile(f.TokenFile, streams{}, maxCredential)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		if token, source = strings.TrimSpace(string(content)), f.TokenFile; token == "" {
			return "", fmt.Errorf("%s is empty", source)
		}
	}
	// Attack stopped: a line break in the token that would begin another header.
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds more than a token: it is one word of visible ASCII characters", source)
	}
	return token, nil
}

// with connects, has a command do its work, and lets go of the host.
func (f *clientFlags) with(ctx context.Context, std streams, command stdioCommand, work func(*session) error) error {
	s, err := f.connect(ctx, std, command)
	if err != nil {
		return err
	}
	return s.end(s.refused(work(s)))
}

// end lets go of the host. A program that ended badly is told only when the command has no worse to tell.
func (s *session) end(err error) error {
	closed := s.client.Close()
	s.cancel()
	if err == nil && closed != nil {
		return &exitError{exitFailed, errors.New(printable(closed.Error()))}
	}
	return err
}

// call calls a tool, and decodes its result unless result is nil. What a server says is made printable before it is told:
// attack stopped, an error text that drives the terminal.
func (s *session) call(tool string, arguments, result any, effect client.Effect) (canonical.Value, error) {
	v, err := s.client.Call(s.ctx, tool, arguments, effect)
	var refusal *client.Refusal
	switch {
	case errors.As(err, &refusal) || errors.Is(err, context.Canceled):
		return v, err
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return v, errors.New(printable(err.Error()) + "; --ca-file names an authority that this machine does not know")
	case err != nil:
		return v, errors.New(printable(err.Error()))
	case result == nil:
		return v, nil
	}
	if err := canonical.Decode(v, result); err != nil {
		return v, fmt.Errorf("the host's answer to %s cannot be read: %s", tool, printable(err.Error()))
	}
	return v, nil
}

// refusalAdvice says what to do about a refusal, by its kind, where the host's own words do not.
var refusalAdvice = map[string]string{
	"unauthenticated": "; say who calls with --token-file, or with --cert and --key",
	"unauthorized":    "; the audit log of the host says why",
}

// refused ends a command that a host refused: with --json the error goes to the output as it came.
func (s *session) refused(err error) error {
	var refusal *client.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if s.json {
		if err := writeResult(s.std, canonical.AppendValue(nil, canonical.NewObject([]canonical.Member{{Name: "error", Value: refusal.Body}}), canonical.Declared)); err != nil {
			return err
		}
	}
	return &exitError{exitFailed, errors.New(printable(err.Error()) + refusalAdvice[refusal.Kind])}
}

// tell writes the result as it came, or what show makes of it for people.
func (s *session) tell(result canonical.Value, show func(out *screen)) error {
	if s.json {
		return writeResult(s.std, canonical.AppendValue(nil, result, canonical.Declared))
	}
	out := newScreen(s.std.out)
	show(out)
	return out.err
}

// writeResult writes compact JSON as one line. Attack stopped: a text of somebody else with controls beyond ASCII, or that turns the
// direction of writing, shown on a terminal; JSON has an escape for each.
func writeResult(std streams, text []byte) error {
	out := make([]byte, 0, len(text)+1)
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRune(text[i:])
		switch {
		case r == ' ' || unicode.IsPrint(r):
			out = append(out, text[i:i+size]...)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	_, err := std.out.Write(append(out, '\n'))
	return err
}
