package canonical

import (
	"bytes"
	"math"
	"strconv"
)

// CompareDecimal compares two numbers as exact decimals, a float as the shortest decimal that reads back as it (contract
// §4.5): 1, 1.0 and 1e0 are equal, -0 is 0. Both values must be numbers.
func CompareDecimal(a, b Value) int {
	x, y := toDecimal(a), toDecimal(b)
	if x.sign != y.sign {
		return x.sign - y.sign
	}
	switch {
	case x.point != y.point && x.point < y.point:
		return -x.sign
	case x.point != y.point:
		return x.sign
	default:
		return x.sign * bytes.Compare(x.digits, y.digits)
	}
}

// decimal is sign * 0.DIGITS * 10^point, without leading or trailing zeros; zero has sign 0 and no digits.
type decimal struct {
	sign   int
	digits []byte
	point  int
}

func toDecimal(v Value) decimal {
	var d decimal
	switch v.kind {
	case Unsigned:
		d = integerDecimal(1, v.bits)
	case Negative:
		d = integerDecimal(-1, uint64(-int64(v.bits)))
	default:
		f := math.Float64frombits(v.bits)
		if f == 0 {
			return decimal{}
		}
		d.sign = 1
		if f < 0 {
			d.sign = -1
		}
		d.digits, d.point = shortest(f)
	}
	d.digits = bytes.TrimRight(d.digits, "0")
	if len(d.digits) == 0 {
		return decimal{}
	}
	return d
}

func integerDecimal(sign int, n uint64) decimal {
	digits := strconv.AppendUint(nil, n, 10)
	return decimal{sign: sign, digits: digits, point: len(digits)}
}
