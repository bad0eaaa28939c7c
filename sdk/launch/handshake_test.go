package launch

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

func handshakeCertificate(t testing.TB) string {
	t.Helper()
	keys, err := newKeys()
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawStdEncoding.EncodeToString(keys.certificate.Certificate[0])
}

func TestParseHandshake(t *testing.T) {
	certificate := handshakeCertificate(t)
	for line, want := range map[string]string{
		"1|1|unix|/s/plugin1|grpc|CERT":           "",
		"1|1|unix|/s/plugin1|grpc|CERT\r":         "",
		"1|1|unix|/s/plugin1|grpc|CERT|false":     "",
		"1|1|tcp|127.0.0.1:4000|grpc|CERT":        "",
		"1|1|tcp|[::1]:4000|grpc|CERT":            "",
		"":                                        "want the line",
		"hello":                                   "want the line",
		"1|1|unix|/s/plugin1|grpc|CERT|true":      "want the line",
		"1|1|unix|/s/plugin1|grpc":                "want the line",
		"2|1|unix|/s/plugin1|grpc|CERT":           "core version",
		"1|2|unix|/s/plugin1|grpc|CERT":           `speaks version "2"`,
		"1|1|unix|/s/plugin1|netrpc|CERT":         "not grpc",
		"1|1|unix|/s/plugin1|grpc|":               "no certificate",
		"1|1|unix|/s/plugin1|grpc|CERT=":          "without padding",
		"1|1|unix|/s/plugin1|grpc|AAAA":           "cannot be parsed",
		"1|1|unix|/etc/other.sock|grpc|CERT":      "not in the directory",
		"1|1|unix|/s/../etc/other.sock|grpc|CERT": "not in the directory",
		"1|1|unix|/s/../s/x|grpc|CERT":            "not in the directory",
		"1|1|unix|/s/sub/x|grpc|CERT":             "not in the directory",
		"1|1|unix|@abstract|grpc|CERT":            "not in the directory",
		"1|1|tcp|10.0.0.1:4000|grpc|CERT":         "not a loopback address",
		"1|1|tcp|localhost:4000|grpc|CERT":        "not a loopback address",
		"1|1|tcp|127.0.0.1:0|grpc|CERT":           "not a loopback address",
		"1|1|tcp|127.0.0.1|grpc|CERT":             "not a loopback address",
		"1|1|udp|127.0.0.1:4000|grpc|CERT":        "neither unix nor tcp",
		strings.Repeat("\x1b]0;title\a", 1<<16):   "want the line",
	} {
		_, err := parseHandshake(strings.Replace(line, "CERT", certificate, 1), "/s")
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", line, err)
		case want != "" && (!errors.Is(err, ErrHandshake) || !strings.Contains(err.Error(), want)):
			t.Errorf("%.50q: %v, want %q", line, err, want)
		case err != nil && (len(err.Error()) > 1500 || strings.ContainsAny(err.Error(), "\x1b\a\n")):
			t.Errorf("%.50q: the error is not fit for a terminal: %q", line, err)
		}
	}
}

// Whatever a plugin prints must neither crash the host nor lead it elsewhere.
func FuzzParseHandshake(f *testing.F) {
	f.Add("1|1|unix|/s/plugin1|grpc|" + handshakeCertificate(f))
	f.Add("1|1|tcp|127.0.0.1:1|grpc|AAAA|false")
	f.Fuzz(func(t *testing.T, line string) {
		offer, err := parseHandshake(line, "/s")
		if err != nil {
			if !errors.Is(err, ErrHandshake) || !utf8.ValidString(err.Error()) {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if offer.certificate == nil || offer.network == "unix" && !strings.HasPrefix(offer.address, "/s/") {
			t.Errorf("%q: accepted as %+v", line, offer)
		}
	})
}

func FuzzStdioBytes(f *testing.F) {
	message := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
	message = protowire.AppendBytes(protowire.AppendTag(message, stdioData, protowire.BytesType), []byte("text"))
	if got := string(stdioBytes(message)); got != "text" {
		f.Errorf("stdioBytes = %q", got)
	}
	f.Add(message)
	f.Fuzz(func(_ *testing.T, message []byte) { stdioBytes(message) })
}
