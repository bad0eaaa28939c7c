package canonical

import "math"

// Identity returns a key that two values share exactly when they are Equal, by which many values can be looked up at once.
func Identity(v Value) string { return string(appendIdentity(nil, v)) }

// appendIdentity sorts members as the canonical form does, and keeps the kinds of numbers as the declared form does.
func appendIdentity(dst []byte, v Value) []byte {
	switch v.kind {
	case Float:
		f := math.Float64frombits(v.bits)
		if f == 0 {
			f = 0 // -0.0 equals 0.0
		}
		return appendKeepingKind(dst, f)
	case Array:
		dst = append(dst, '[')
		for _, item := range v.Items() {
			dst = append(appendIdentity(dst, item), ',')
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for _, m := range sortMembers(v.Members()) {
			dst = append(AppendString(dst, m.Name), ':')
			dst = append(appendIdentity(dst, m.Value), ',')
		}
		return append(dst, '}')
	default:
		return AppendValue(dst, v, Declared)
	}
}
