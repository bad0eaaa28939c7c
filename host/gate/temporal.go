package gate

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// compareTemporal orders two strings that are both date-times or both dates (contract §4.6); anything else has no order.
func compareTemporal(a, b string) (order int, ok bool) {
	x, ok1 := ParseDateTime(a)
	y, ok2 := ParseDateTime(b)
	if ok1 && ok2 {
		return x.Compare(y), true
	}
	dx, ok1 := parseDate(a)
	dy, ok2 := parseDate(b)
	return cmp.Compare(dx, dy), ok1 && ok2
}

// ParseDateTime reads an RFC 3339 date-time with exactly the tolerances of contract §4.6 ([P-19]): any single byte between
// date and time, digits after the ninth of a fraction ignored, a leap second folded into the nanosecond before it.
func ParseDateTime(s string) (time.Time, bool) {
	r := timeReader{rest: s, ok: true}
	year := r.number(4)
	r.byte("-")
	month := r.number(2)
	r.byte("-")
	day := r.number(2)
	r.any()
	hour := r.number(2)
	r.byte(":")
	minute := r.number(2)
	r.byte(":")
	second := r.number(2)
	nanos := r.fraction()
	offset := r.offset()
	if !r.ok || r.rest != "" || !validDate(year, month, day) || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, false
	}
	leap := second == 60
	if leap {
		second, nanos = 59, 999_999_999
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC).Add(-offset)
	if leap && !endOfMonth(t) {
		return time.Time{}, false
	}
	return t, true
}

// endOfMonth reports whether t lies in the last second of a month, where leap seconds are.
func endOfMonth(t time.Time) bool { return t.Add(time.Second).Month() != t.Month() }

func validDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

type timeReader struct {
	rest string
	ok   bool
}

func (r *timeReader) take(n int) string {
	if len(r.rest) < n {
		r.ok = false
		return ""
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *timeReader) any() { r.take(1) }

// byte reads one byte of set and returns it.
func (r *timeReader) byte(set string) string {
	c := r.take(1)
	if c == "" || !strings.Contains(set, c) {
		r.ok = false
	}
	return c
}

// number reads exactly n digits.
func (r *timeReader) number(n int) int {
	value := 0
	for _, c := range []byte(r.take(n)) {
		if c < '0' || c > '9' {
			r.ok = false
			return 0
		}
		value = value*10 + int(c-'0')
	}
	return value
}

// fraction reads an optional point and its digits, as nanoseconds.
func (r *timeReader) fraction() int {
	if !strings.HasPrefix(r.rest, ".") {
		return 0
	}
	r.take(1)
	nanos, digits := 0, 0
	for r.rest != "" && r.rest[0] >= '0' && r.rest[0] <= '9' {
		if digits < 9 {
			nanos = nanos*10 + int(r.rest[0]-'0')
		}
		digits++
		r.take(1)
	}
	if digits == 0 {
		r.ok = false
	}
	for ; digits < 9; digits++ {
		nanos *= 10
	}
	return nanos
}

func (r *timeReader) offset() time.Duration {
	sign := r.byte("Zz+-")
	if sign == "Z" || sign == "z" {
		return 0
	}
	hour := r.number(2)
	r.byte(":")
	minute := r.number(2)
	if hour > 23 || minute > 59 {
		r.ok = false
	}
	offset := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	if sign == "-" {
		return -offset
	}
	return offset
}

// maxDateYear bounds the year of a date without a time.
const maxDateYear = 9999

// parseDate reads Y-M-D in its lenient form, as days since 1970.
func parseDate(s string) (days int64, ok bool) {
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return 0, false
	}
	year, ok1 := lenientNumber(parts[0], 32)
	month, ok2 := lenientNumber(parts[1], 8)
	day, ok3 := lenientNumber(parts[2], 8)
	if !ok1 || !ok2 || !ok3 || year > maxDateYear || !validDate(year, month, day) {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / 86400, true
}

// lenientNumber reads an unsigned decimal with an optional plus sign and any number of zeros in front.
func lenientNumber(s string, bits int) (int, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, bits)
	return int(n), err == nil
}
