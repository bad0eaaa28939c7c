package canonical

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Order is the order of members in what is written.
type Order bool

const (
	// Declared writes members in the order of their declaration or document, and numbers so that their kind survives: what
	// goes over the wire and into the store.
	Declared Order = false
	// Canonical writes what is hashed (contract §8): members sorted by the bytes of their encoded names, numbers in their
	// ECMAScript form, so that 1 and 1.0 are the same bytes.
	Canonical Order = true
)

// AppendValue appends a value without white space.
func AppendValue(dst []byte, v Value, order Order) []byte {
	switch v.kind {
	case Null:
		return append(dst, "null"...)
	case Bool:
		return strconv.AppendBool(dst, v.Bool())
	case Unsigned:
		return strconv.AppendUint(dst, v.bits, 10)
	case Negative:
		return strconv.AppendInt(dst, int64(v.bits), 10)
	case Float:
		return appendFloat(dst, math.Float64frombits(v.bits), order)
	case String:
		return AppendString(dst, v.text)
	case Array:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendValue(dst, item, order)
		}
		return append(dst, ']')
	default:
		return appendObject(dst, v.Members(), order)
	}
}

func appendObject(dst []byte, members []Member, order Order) []byte {
	dst = append(dst, '{')
	if order == Canonical {
		members = sortMembers(members)
	}
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, m.Name), ':')
		dst = AppendValue(dst, m.Value, order)
	}
	return append(dst, '}')
}

// sortMembers sorts by the bytes of the encoded name, quotes and escapes included ([P-01], contract §8.2): `"a"` comes
// after `"a!"`, because the closing quote is greater than "!".
func sortMembers(members []Member) []Member {
	byName := func(a, b Member) int { return compareNames(a.Name, b.Name) }
	if slices.IsSortedFunc(members, byName) {
		return members
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, byName)
	return sorted
}

// compareNames compares two names as they are encoded, of which only what follows their common beginning matters.
func compareNames(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	var x, y [6]byte
	return bytes.Compare(appendEncodedByte(x[:0], a, i), appendEncodedByte(y[:0], b, i))
}

// appendEncodedByte appends what stands in the encoded form of s for its byte i, or the closing quote.
func appendEncodedByte(dst []byte, s string, i int) []byte {
	switch {
	case i == len(s):
		return append(dst, '"')
	case isEscaped(s[i]):
		return appendEscape(dst, s[i])
	default:
		return append(dst, s[i])
	}
}

const hexDigits = "0123456789abcdef"

// AppendString appends a string with the escapes of contract §8.3 and no others.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; isEscaped(c) {
			dst = appendEscape(append(dst, s[start:i]...), c)
			start = i + 1
		}
	}
	return append(append(dst, s[start:]...), '"')
}

func isEscaped(c byte) bool { return c < 0x20 || c == '"' || c == '\\' }

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}

func appendFloat(dst []byte, f float64, order Order) []byte {
	if order == Canonical {
		return appendECMAScript(dst, f)
	}
	return appendKeepingKind(dst, f)
}

// shortest returns the shortest digits that read back as f, and n such that |f| = 0.DIGITS * 10^n.
func shortest(f float64) (digits []byte, n int) {
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], math.Abs(f), 'e', -1, 64)
	mantissa, exponent, _ := bytes.Cut(text, []byte{'e'})
	e, _ := strconv.Atoi(string(exponent))
	digits = append(digits, mantissa[0])
	if len(mantissa) > 2 {
		digits = append(digits, mantissa[2:]...)
	}
	return digits, e + 1
}

// appendECMAScript is Number-to-string of ECMAScript (contract §8.4), with which hashes are made.
func appendECMAScript(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	digits, n := shortest(f)
	switch k := len(digits); {
	case k <= n && n <= 21:
		return appendZeros(append(dst, digits...), n-k)
	case 0 < n && n <= 21:
		return append(append(append(dst, digits[:n]...), '.'), digits[n:]...)
	case -6 < n && n <= 0:
		return append(appendZeros(append(dst, "0."...), -n), digits...)
	default:
		return appendExponent(dst, digits, n-1)
	}
}

// appendKeepingKind always writes a fraction or an exponent, so that the literal reads back as kind F (mcp contract §1.2).
func appendKeepingKind(dst []byte, f float64) []byte {
	if math.Signbit(f) {
		dst = append(dst, '-')
	}
	if f == 0 {
		return append(dst, "0.0"...)
	}
	digits, n := shortest(f)
	switch k := len(digits); {
	case k <= n && n <= 16:
		return append(appendZeros(append(dst, digits...), n-k), ".0"...)
	case 0 < n && n <= 16:
		return append(append(append(dst, digits[:n]...), '.'), digits[n:]...)
	case -5 < n && n <= 0:
		return append(appendZeros(append(dst, "0."...), -n), digits...)
	default:
		return appendExponent(dst, digits, n-1)
	}
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}

func appendExponent(dst, digits []byte, e int) []byte {
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	dst = append(dst, 'e')
	if e >= 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(e), 10)
}

// SizeError says that a canonical form is over its limit. Actual is not the full size: it is what had been written and the
// chunk that did not fit (contract §8.6), because an oversized packet puts that number into a hashed record.
type SizeError struct {
	Actual, Limit int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("canonical json exceeds size limit (%d > %d)", e.Actual, e.Limit)
}

// AppendLimited appends the canonical form of a value, at most limit bytes of it. The error is a *SizeError.
func AppendLimited(dst []byte, v Value, limit int) ([]byte, error) {
	w := limited{dst: dst, start: len(dst), limit: limit}
	w.value(v)
	return w.dst, w.err
}

// limited writes in the chunks of contract §8.6.
type limited struct {
	dst   []byte
	start int
	limit int
	err   error
}

func (w *limited) chunk(c []byte) {
	if w.err != nil {
		return
	}
	if size := len(w.dst) - w.start + len(c); size > w.limit {
		w.err = &SizeError{Actual: size, Limit: w.limit}
		return
	}
	w.dst = append(w.dst, c...)
}

func (w *limited) value(v Value) {
	switch v.kind {
	case String:
		w.string(v.text)
	case Array:
		w.chunk([]byte{'['})
		for i, item := range v.Items() {
			if i > 0 {
				w.chunk([]byte{','})
			}
			if w.value(item); w.err != nil {
				return
			}
		}
		w.chunk([]byte{']'})
	case Object:
		w.chunk([]byte{'{'})
		for i, m := range sortMembers(v.Members()) {
			if i > 0 {
				w.chunk([]byte{','})
			}
			w.chunk(AppendString(nil, m.Name))
			w.chunk([]byte{':'})
			if w.chunk(AppendValue(nil, m.Value, Canonical)); w.err != nil {
				return
			}
		}
		w.chunk([]byte{'}'})
	default:
		w.chunk(AppendValue(nil, v, Canonical))
	}
}

func (w *limited) string(s string) {
	w.chunk([]byte{'"'})
	start := 0
	for i := 0; i < len(s) && w.err == nil; i++ {
		if c := s[i]; isEscaped(c) {
			if start < i {
				w.chunk([]byte(s[start:i]))
			}
			w.chunk(appendEscape(nil, c))
			start = i + 1
		}
	}
	if start < len(s) {
		w.chunk([]byte(s[start:]))
	}
	w.chunk([]byte{'"'})
}
