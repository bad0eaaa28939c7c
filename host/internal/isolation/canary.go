package isolation

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// watch searches answers for what they must not hold.
type watch struct {
	mu      sync.RWMutex
	needles []needle
}

// needle is one form of one secret.
type needle struct {
	secret, form string
	text         []byte
	where        place
}

// place says in which reading of an answer a needle is looked for.
type place int

const (
	raw    place = iota // as it came
	folded              // in lower case
	bare                // escapes undone, letters and digits alone, in lower case
)

// add watches for a secret, which is letters and digits, long enough that nobody guesses half of it.
func (w *watch) add(secret string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	half := len(secret) / 2
	for _, part := range []string{secret[:half], secret[half:]} { // a key that is split has it in two places
		w.put(secret, "text", part, folded)
		w.put(secret, "text between other characters, or escaped", part, bare)
		w.put(secret, "hexadecimal", hex.EncodeToString([]byte(part)), folded)
		w.put(secret, "hexadecimal between other characters", hex.EncodeToString([]byte(part)), bare)
		numbers := make([]string, len(part))
		for i := range len(part) {
			numbers[i] = strconv.Itoa(int(part[i]))
		}
		w.put(secret, "bytes as numbers", strings.Join(numbers, ","), folded)
		w.put(secret, "bytes as numbers", strings.Join(numbers, ", "), folded)
		for offset := range 3 {
			// What is the same wherever the secret begins in a group of three bytes.
			encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + part))
			first, last := (offset*8+5)/6, len(encoded)-1
			w.put(secret, "base64", encoded[first:last], raw)
			w.put(secret, "base64 for URLs", strings.NewReplacer("+", "-", "/", "_").Replace(encoded[first:last]), raw)
		}
	}
}

// addHash watches for a hash of something secret, in hexadecimal.
func (w *watch) addHash(hash string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(hash, "hash", hash, folded)
}

func (w *watch) put(secret, form, text string, where place) {
	if where != raw {
		text = strings.ToLower(text)
	}
	w.needles = append(w.needles, needle{secret, form, []byte(text), where})
}

// find answers what of the secrets a text holds; empty when it holds nothing.
func (w *watch) find(text []byte) (secret, form string) {
	readings := [...][]byte{raw: text, folded: bytes.ToLower(text), bare: bareText(text)}
	w.mu.RLock()
	defer w.mu.RUnlock()
	for i := range w.needles {
		if n := &w.needles[i]; bytes.Contains(readings[n.where], n.text) {
			return n.secret, n.form
		}
	}
	return "", ""
}

// bareText undoes the escapes of JSON and URLs and drops all but letters and digits, in lower case: what is left of a secret
// that somebody has taken apart.
func bareText(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+5 < len(text) && text[i+1] == 'u':
			if v, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16); err == nil {
				i += 5
				c = byte(min(v, 0x80))
			}
		case (c == '%' || c == '=') && i+2 < len(text): // and quoted-printable
			if v, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8); err == nil {
				i += 2
				c = byte(v)
			}
		}
		switch {
		case 'A' <= c && c <= 'Z':
			out = append(out, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			out = append(out, c)
		}
	}
	return out
}

// around is what an answer has around a secret, for people.
func around(text []byte, form string, find func([]byte) bool) string {
	const window = 160
	if len(text) <= 2*window {
		return string(text)
	}
	for at := 0; at < len(text); at += window {
		if part := text[at:min(at+2*window, len(text))]; find(part) {
			return fmt.Sprintf("…%s… (bytes %d to %d of %d, as %s)", part, at, at+len(part), len(text), form)
		}
	}
	return string(text[:window]) + "…"
}
